#include "engine/procfs/stat.h"

#include <unistd.h>

#include "engine/procfs/task_handle.h"
#include "tests/support/catch.h"

using namespace cryostat;

namespace {
const std::string kNumbers =
    " S 1 42 41 34816 42 4194304 101 0 0 0 7 8 9 10 20 -5 3 0 204924 3133440 381 "
    "18446744073709551615 94760212598784 94760212618665 140726585533904 0 0 0 0 0 0 0 0 0 17 1 50 "
    "2 "
    "0 0 0 94760212634672 94760212636288 94760933888000 140726585535108 140726585535128 "
    "140726585535129 140726585536491 0\n";
}

TEST_CASE("stat: every field is where it belongs") {
  const auto stat = procfs::parse_stat("42 (cat)" + kNumbers);
  REQUIRE(stat);
  CHECK(stat->pid == 42);
  CHECK(stat->comm == "cat");
  CHECK(stat->state == 'S');
  CHECK(stat->ppid == 1);
  CHECK(stat->pgrp == 42);
  CHECK(stat->session == 41);
  CHECK(stat->tty_nr == 34816);
  CHECK(stat->tpgid == 42);
  CHECK(stat->user_ticks == 7);
  CHECK(stat->children_system_ticks == 10);
  CHECK(stat->nice == -5);
  CHECK(stat->thread_count == 3);
  CHECK(stat->start_time_ticks == 204924);
  CHECK(stat->vsize_bytes == 3133440);
  CHECK(stat->start_code == 94760212598784);
  CHECK(stat->start_stack == 140726585533904);
  CHECK(stat->exit_signal == 17);
  CHECK(stat->rt_priority == 50);
  CHECK(stat->policy == 2);
  CHECK(stat->start_data == 94760212634672);
  CHECK(stat->start_brk == 94760933888000);
  CHECK(stat->env_end == 140726585536491);
  CHECK_FALSE(stat->is_kernel_thread());
}

TEST_CASE("stat: names may hold anything") {
  for (const std::string name : {"a) S 1 (b", ") ", "x\ny", "", "((("}) {
    const auto stat = procfs::parse_stat("42 (" + name + ")" + kNumbers);
    REQUIRE(stat);
    CHECK(stat->comm == name);
    CHECK(stat->start_time_ticks == 204924);
  }
}

TEST_CASE("stat: malformed text is an error, never a crash") {
  const std::string good = "42 (cat)" + kNumbers;
  const size_t last_number = good.rfind(" 140726585536491");
  for (size_t length = 0; length < last_number; ++length) {
    CHECK_FALSE(procfs::parse_stat(std::string_view(good).substr(0, length)));
  }
  CHECK_FALSE(procfs::parse_stat("x (cat)" + kNumbers));
}

TEST_CASE("stat: our own") {
  const auto dir = ProcDir::open("/proc/self");
  REQUIRE(dir);
  const auto stat = procfs::parse_stat(*dir->read("stat"));
  REQUIRE(stat);
  CHECK(stat->pid == getpid());
  CHECK(stat->ppid == getppid());
  CHECK(stat->start_brk != 0);
}
