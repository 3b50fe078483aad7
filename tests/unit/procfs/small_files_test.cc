// The parsers of short files.
#include <elf.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/procfs/auxv.h"
#include "engine/procfs/cpuinfo.h"
#include "engine/procfs/fdinfo.h"
#include "engine/procfs/limits.h"
#include "engine/procfs/mountinfo.h"
#include "engine/procfs/sched.h"
#include "engine/procfs/statm.h"
#include "engine/procfs/task_handle.h"
#include "engine/procfs/timers.h"
#include "tests/support/catch.h"

using namespace cryostat;

namespace {
std::string own(const std::string& name) {
  const auto dir = ProcDir::open("/proc/self");
  REQUIRE(dir);
  const auto text = dir->read(name);
  REQUIRE(text);
  return *text;
}
procfs::FdInfo own_fdinfo(int fd) {
  const auto info = procfs::parse_fdinfo(own("fdinfo/" + std::to_string(fd)));
  REQUIRE(info);
  return *info;
}
}  // namespace

TEST_CASE("fdinfo: text") {
  const auto info = procfs::parse_fdinfo(
      "pos:\t12\nflags:\t02100002\nmnt_id:\t15\nino:\t77\n"
      "lock:\t1: POSIX  ADVISORY  WRITE 12 fe:00:5 0 EOF\n"
      "tfd:       -8 events:       19 data: ffffffffffffffff  pos:3 ino:61 sdev:fe00003\n"
      "something new: 1\n");
  REQUIRE(info);
  CHECK(info->position == 12);
  CHECK(info->flags == 02100002);
  CHECK(info->mount_id == 15);
  CHECK(info->inode == 77);
  REQUIRE(info->locks.size() == 1);
  CHECK(info->locks[0] == "1: POSIX  ADVISORY  WRITE 12 fe:00:5 0 EOF");
  REQUIRE(info->epoll_watches.size() == 1);
  CHECK(info->epoll_watches[0].fd == -8);
  CHECK(info->epoll_watches[0].events == 0x19);
  CHECK(info->epoll_watches[0].data == UINT64_MAX);
  CHECK(info->epoll_watches[0].inode == 0x61);
  CHECK(info->epoll_watches[0].device == 0xfe00003);
  CHECK(info->extra == std::vector<std::string>{"something new: 1"});
  CHECK_FALSE(procfs::parse_fdinfo("pos:\tx\n"));
  CHECK_FALSE(procfs::parse_fdinfo("it_value: (1\n"));
  CHECK_FALSE(procfs::parse_fdinfo("tfd: x\n"));
}

TEST_CASE("fdinfo: what this kernel prints") {
  const int event = eventfd(300, EFD_SEMAPHORE | EFD_CLOEXEC);
  CHECK(own_fdinfo(event).eventfd_count == 300u);
  const int other = eventfd(300, EFD_CLOEXEC);
  CHECK(own_fdinfo(event).eventfd_id != own_fdinfo(other).eventfd_id);
  CHECK(own_fdinfo(event).eventfd_id == own_fdinfo(dup(event)).eventfd_id);

  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  const int signal = signalfd(-1, &set, SFD_CLOEXEC);
  CHECK(own_fdinfo(signal).signalfd_mask == uint64_t{1} << (SIGUSR1 - 1));

  const int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
  const itimerspec spec{{2, 5}, {1000, 7}};
  timerfd_settime(timer, 0, &spec, nullptr);
  const auto info = own_fdinfo(timer);
  REQUIRE(info.timerfd);
  CHECK(info.timerfd->clock_id == CLOCK_BOOTTIME);
  CHECK(info.timerfd->interval_ns == 2'000'000'005);
  CHECK(info.timerfd->remaining_ns > 990'000'000'000);
  CHECK(info.timerfd->remaining_ns <= 1'000'000'000'007);

  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event watch{EPOLLIN | EPOLLET, {.u64 = 0x1234567890}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, event, &watch);
  const auto watches = own_fdinfo(epoll).epoll_watches;
  REQUIRE(watches.size() == 1);
  CHECK(watches[0].fd == event);
  CHECK(watches[0].data == 0x1234567890);
  CHECK((watches[0].events & EPOLLET) != 0);
  for (const int fd : {event, signal, timer, epoll}) close(fd);
}

TEST_CASE("limits: our own agree with getrlimit") {
  const auto limits = procfs::parse_limits(own("limits"));
  REQUIRE(limits);
  REQUIRE(limits->size() == 16);
  for (const auto& limit : *limits) {
    rlimit mine;
    REQUIRE(getrlimit(static_cast<__rlimit_resource>(limit.resource), &mine) == 0);
    CHECK(limit.soft == mine.rlim_cur);
    CHECK(limit.hard == mine.rlim_max);
  }
  CHECK_FALSE(procfs::parse_limits("Max cpu time unlimited unlimited seconds\n"));
  CHECK_FALSE(procfs::parse_limits("Max cpu time many unlimited seconds\n"));
}

TEST_CASE("timers: text and our own") {
  const auto timers = procfs::parse_timers(
      "ID: 1\nsignal: 60/00007fff864805b0\nnotify: signal/pid.2634\nClockID: 0\n"
      "ID: 2\nsignal: 0/0000000000000000\nnotify: none/tid.12\nClockID: -6\n");
  REQUIRE(timers);
  REQUIRE(timers->size() == 2);
  CHECK((*timers)[0].id == 1);
  CHECK((*timers)[0].signal == 60);
  CHECK((*timers)[0].value == 0x7fff864805b0);
  CHECK((*timers)[0].notify == SIGEV_SIGNAL);
  CHECK((*timers)[0].notify_id == 2634);
  CHECK((*timers)[1].notify == SIGEV_NONE);
  CHECK((*timers)[1].to_thread);
  CHECK((*timers)[1].clock_id == -6);
  CHECK_FALSE(procfs::parse_timers("signal: 1/2\n"));
  CHECK_FALSE(procfs::parse_timers("ID: 1\nnotify: loud/pid.1\n"));

  timer_t id;
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR2;
  event.sigev_value.sival_ptr = reinterpret_cast<void*>(0x1234);
  REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &id) == 0);
  const auto mine = procfs::parse_timers(own("timers"));
  REQUIRE(mine);
  REQUIRE(mine->size() == 1);
  CHECK(mine->front().signal == SIGUSR2);
  CHECK(mine->front().value == 0x1234);
  CHECK(mine->front().clock_id == CLOCK_MONOTONIC);
  CHECK(mine->front().notify_id == getpid());
  timer_delete(id);
}

TEST_CASE("auxv: our own") {
  const auto entries = procfs::parse_auxv(own("auxv"));
  REQUIRE(entries);
  CHECK(procfs::find_aux(*entries, AT_PAGESZ) == 4096u);
  CHECK(procfs::find_aux(*entries, 0x777) == std::nullopt);
  CHECK_FALSE(procfs::parse_auxv("12345"));
  CHECK_FALSE(procfs::parse_auxv(std::string(64 * 1024, 'x')));
}

TEST_CASE("mountinfo: text and our own") {
  const auto mounts = procfs::parse_mountinfo(
      "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root "
      "rw,errors=continue\n"
      "37 35 0:44 / /x rw - tmpfs  rw\n");
  REQUIRE(mounts);
  REQUIRE(mounts->size() == 2);
  CHECK((*mounts)[0].mount_point == "/mnt 2");
  CHECK((*mounts)[0].propagation == "master:1 shared:2");
  CHECK((*mounts)[0].type == "ext3");
  CHECK((*mounts)[0].source == "/dev/root");
  CHECK((*mounts)[0].super_options == "rw,errors=continue");
  CHECK((*mounts)[1].source.empty());
  CHECK((*mounts)[1].super_options == "rw");
  CHECK_FALSE(procfs::parse_mountinfo("36 35 98:0 /mnt1 /mnt2 rw master:1\n"));
  REQUIRE(procfs::parse_mountinfo(own("mountinfo")));
}

TEST_CASE("sched and cpuinfo") {
  const auto sched = procfs::parse_sched(
      "cat (1, #threads: 1)\n---\nse.exec_start                                :       "
      "3157304.300924\n"
      "se.sum_exec_runtime                          :             0.000010\n");
  REQUIRE(sched);
  CHECK(sched->exec_start_ns == 3157304300924);
  CHECK(sched->sum_exec_runtime_ns == 10);
  CHECK_FALSE(procfs::parse_sched("se.exec_start : 3.1\n"));
  CHECK_FALSE(procfs::parse_sched(""));

  const auto cpu = procfs::parse_cpuinfo(
      "processor\t: 0\nmodel name\t: A  B\nflags\t\t: fpu vme\n\nprocessor\t: 1\nflags\t: x\n");
  REQUIRE(cpu);
  CHECK(cpu->model_name == "A  B");
  CHECK(cpu->flags == std::vector<std::string>{"fpu", "vme"});
  CHECK_FALSE(procfs::parse_cpuinfo("processor : 0\n"));
}
TEST_CASE("statm") {
  const auto statm = procfs::parse_statm("1380 376 344 6 0 112 0\n");
  REQUIRE(statm.has_value());
  CHECK(statm->size_pages == 1380);
  CHECK(statm->private_pages() == 32);
  // The counters are read one after the other and may disagree.
  CHECK(procfs::parse_statm("10 3 4 0 0 0 0\n")->private_pages() == 0);
  CHECK_FALSE(procfs::parse_statm("1380 376\n").has_value());
  CHECK_FALSE(procfs::parse_statm("").has_value());
}
