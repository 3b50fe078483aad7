#include "engine/procfs/status.h"

#include <sys/stat.h>
#include <unistd.h>

#include "engine/procfs/task_handle.h"
#include "tests/support/catch.h"

using namespace cryostat;

namespace {
constexpr const char* kText =
    "Name:\ta\\nb\\\\c\n"
    "Umask:\t0022\n"
    "State:\tS (sleeping)\n"
    "Tgid:\t42\nNgid:\t0\nPid:\t43\nPPid:\t1\nTracerPid:\t7\n"
    "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\nGroups:\t10 20 30 \n"
    "NStgid:\t42\t1\nNSpid:\t43\t2\nNSpgid:\t42\t1\nNSsid:\t42\t1\n"
    "Kthread:\t0\nVmPeak:\t 10 kB\nVmSize:\t 10 kB\nVmLck:\t 12 kB\nTHP_enabled:\t0\n"
    "Threads:\t2\nSigQ:\t1/7700\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000200\n"
    "SigBlk:\tfffffffe7ffbfeff\nSigIgn:\t0000000000001000\nSigCgt:\t0000000180000000\n"
    "CapInh:\t0000000000000001\nCapPrm:\t000001ffffffffff\nCapEff:\t000001fffeffffff\n"
    "CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000002\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    "Seccomp_filters:\t3\nSpeculation_Store_Bypass:\tthread vulnerable\n"
    "x86_Thread_features:\tshstk wrss \nx86_Thread_features_locked:\t\n";
}

TEST_CASE("status: known lines") {
  const auto status = procfs::parse_status(kText);
  REQUIRE(status);
  CHECK(status->name == "a\nb\\c");
  CHECK(status->umask == 022);
  CHECK(status->has_umask);
  CHECK(status->state == 'S');
  CHECK(status->tgid == 42);
  CHECK(status->pid == 43);
  CHECK(status->tracer_pid == 7);
  CHECK(status->uid.fs == 4);
  CHECK(status->gid.effective == 6);
  CHECK(status->groups == std::vector<uint32_t>{10, 20, 30});
  CHECK(status->ns_pid == std::vector<pid_t>{43, 2});
  CHECK_FALSE(status->kernel_thread);
  CHECK(status->has_memory);
  CHECK(status->vm_locked_kib == 12);
  CHECK_FALSE(status->thp_enabled);
  CHECK(status->signals_queued == 1);
  CHECK(status->signals_queue_limit == 7700);
  CHECK(status->pending == 1);
  CHECK(status->shared_pending == 0x200);
  CHECK(status->blocked == 0xfffffffe7ffbfeff);
  CHECK(status->cap_permitted == 0x1ffffffffff);
  CHECK(status->cap_ambient == 2);
  CHECK(status->no_new_privs);
  CHECK(status->seccomp_mode == 2);
  CHECK(status->seccomp_filters == 3);
  CHECK(status->shadow_stack == "shstk wrss");
}

TEST_CASE("status: malformed lines are errors") {
  CHECK_FALSE(procfs::parse_status(""));
  CHECK_FALSE(procfs::parse_status("Pid:\tx\n"));
  CHECK_FALSE(procfs::parse_status("Pid:\t1\nUid:\t1\t2\n"));
  CHECK_FALSE(procfs::parse_status("Pid:\t1\nSigQ:\t1-2\n"));
  const std::string text = kText;
  for (size_t length = 0; length <= text.size(); ++length) {
    (void)procfs::parse_status(std::string_view(text).substr(0, length));
  }
}

TEST_CASE("status: our own") {
  const auto dir = ProcDir::open("/proc/self");
  REQUIRE(dir);
  const auto status = procfs::parse_status(*dir->read("status"));
  REQUIRE(status);
  CHECK(status->tgid == getpid());
  CHECK(status->uid.effective == geteuid());
  const mode_t mask = umask(0);
  umask(mask);
  CHECK(status->umask == mask);
}

TEST_CASE("status: nodes that memory may come from") {
  const auto nodes = [](std::string_view list) {
    const auto status =
        procfs::parse_status("Pid:\t1\nMems_allowed_list:\t" + std::string(list) + "\n");
    std::string text = status ? "" : "error";
    if (status)
      for (const bool allowed : status->allowed_nodes) text += allowed ? '1' : '0';
    return text;
  };
  CHECK(nodes("0") == "1");
  CHECK(nodes("0-2,5") == "111001");
  CHECK(nodes("1,3-3") == "0101");
  CHECK(nodes("") == "");
  CHECK(nodes("3-1") == "error");
  CHECK(nodes("0-") == "error");
  CHECK(nodes("5000000") == "error");
}
