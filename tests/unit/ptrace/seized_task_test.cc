#include "engine/ptrace/seized_task.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "engine/procfs/task_handle.h"
#include "tests/support/catch.h"
#include "tests/support/child.h"

namespace cryostat {
namespace {

using testing::Child;
using testing::SharedWords;
using Mode = SeizedTask::Mode;

const StopRequest kNoStop;

Result<SeizedTask> freeze(const TaskHandle& task) {
  return SeizedTask::freeze(task, Deadline::in(std::chrono::seconds(5)), kNoStop);
}

int spin(SharedWords& words) {
  for (;;) ++words.word[0];
}

int sleep_forever(SharedWords& words) {
  words.word[0] = 1;
  for (;;) pause();
}

std::atomic<uint64_t>* handled;
void count_signal(int) { ++*handled; }

}  // namespace

TEST_CASE("a spinning task stands still and goes on") {
  Child child(spin);
  REQUIRE(child.await(0, 1000));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  REQUIRE(task.has_value());
  {
    auto seized = freeze(*task);
    REQUIRE(seized.has_value());
    CHECK(seized->threads().size() == 1);
    CHECK(seized->leader().registers.rip != 0);
    CHECK(seized->leader().xstate.size() >= 576);
    CHECK_FALSE(seized->was_stopped());
    const uint64_t before = child.word(0);
    usleep(20000);
    CHECK(child.word(0) == before);
    CHECK(seized->release(Mode::kResume).has_value());
  }
  CHECK(child.await(0, child.word(0) + 1000));
}

TEST_CASE("the backstop lets the task go") {
  Child child(spin);
  REQUIRE(child.await(0, 1));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  { REQUIRE(freeze(*task).has_value()); }
  CHECK(child.await(0, child.word(0) + 1000));
  CHECK(child.read("status").find("TracerPid:\t0") != std::string::npos);
}

TEST_CASE("all threads, while new ones come and go") {
  Child child([](SharedWords& words) {
    static std::atomic<uint64_t>* counter = &words.word[0];
    static std::atomic<uint64_t>* ended = &words.word[1];
    for (int i = 0; i < 20; ++i) {
      pthread_t thread;
      pthread_create(
          &thread, nullptr,
          [](void*) -> void* {
            for (;;) ++*counter, usleep(100);
          },
          nullptr);
    }
    for (;;) {
      pthread_t thread;
      pthread_create(
          &thread, nullptr,
          [](void*) -> void* {
            ++*ended;
            return nullptr;
          },
          nullptr);
      pthread_join(thread, nullptr);
    }
    return 0;
  });
  REQUIRE(child.await(1, 100));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  for (int round = 0; round < 50; ++round) {
    auto seized = freeze(*task);
    REQUIRE(seized.has_value());
    CHECK(seized->threads().size() >= 21);
    const uint64_t before = child.word(0) + child.word(1);
    usleep(1000);
    CHECK(child.word(0) + child.word(1) == before);
    REQUIRE(seized->release(Mode::kResume).has_value());
    REQUIRE(child.await(1, child.word(1) + 1));
  }
}

TEST_CASE("no signal is lost or doubled") {
  Child child([](SharedWords& words) {
    handled = &words.word[0];
    struct sigaction action {};
    action.sa_handler = count_signal;
    sigaction(SIGRTMIN, &action, nullptr);
    words.word[1] = 1;
    for (;;) pause();
    return 0;
  });
  REQUIRE(child.await(1, 1));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  uint64_t sent = 0;
  for (int round = 0; round < 300; ++round) {
    // Real-time signals queue, so each one counts.
    for (int i = 0; i < 5; ++i) {
      const sigval value{.sival_int = i};
      REQUIRE(sigqueue(child.pid(), SIGRTMIN, value) == 0);
      ++sent;
    }
    auto seized = freeze(*task);
    REQUIRE(seized.has_value());
    REQUIRE(seized->release(Mode::kResume).has_value());
  }
  CHECK(child.await(0, sent));
  usleep(5000);
  CHECK(child.word(0) == sent);
}

TEST_CASE("a task in a job-control stop stays in it") {
  Child child(sleep_forever);
  REQUIRE(child.await(0, 1));
  // SIGTSTP does nothing in an orphaned process group; one whose leader's parent is in another
  // group of the session is none.
  REQUIRE(setpgid(child.pid(), child.pid()) == 0);
  kill(child.pid(), SIGTSTP);
  REQUIRE(child.await_state('T'));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  auto seized = freeze(*task);
  REQUIRE(seized.has_value());
  CHECK(seized->was_stopped());
  CHECK(seized->stop_signal() == SIGTSTP);
  REQUIRE(seized->release(Mode::kResume).has_value());
  CHECK(child.await_state('T'));
  kill(child.pid(), SIGCONT);
  CHECK(child.await_state('S'));
}

TEST_CASE("left stopped") {
  Child child(spin);
  REQUIRE(child.await(0, 1));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  auto seized = freeze(*task);
  REQUIRE(seized.has_value());
  const uint64_t before = child.word(0);
  REQUIRE(seized->release(Mode::kStop).has_value());
  CHECK(child.await_state('T'));
  CHECK(child.word(0) == before);
  kill(child.pid(), SIGCONT);
  CHECK(child.await(0, before + 1000));
}

TEST_CASE("killed") {
  Child child(spin);
  REQUIRE(child.await(0, 1));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  auto seized = freeze(*task);
  REQUIRE(seized.has_value());
  CHECK(seized->release(Mode::kKill).has_value());
  CHECK(kill(child.pid(), 0) != 0);
}

TEST_CASE("a task that someone else traces is refused, naming the tracer") {
  Child target(spin);
  REQUIRE(target.await(0, 1));
  const pid_t pid = target.pid();
  Child tracer([pid](SharedWords& words) {
    ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr);
    words.word[0] = 1;
    for (;;) pause();
    return 0;
  });
  REQUIRE(tracer.await(0, 1));
  const auto task = TaskHandle::open(HostPid(pid));
  const auto seized = freeze(*task);
  REQUIRE_FALSE(seized.has_value());
  CHECK(seized.error().kind() == ErrorKind::kRefused);
  CHECK(seized.error().message().find(std::to_string(tracer.pid())) != std::string::npos);
}

TEST_CASE("a main thread that has exited is refused") {
  Child child([](SharedWords& words) {
    static SharedWords* shared = &words;
    pthread_t thread;
    pthread_create(
        &thread, nullptr, [](void*) -> void* { return reinterpret_cast<void*>(spin(*shared)); },
        nullptr);
    syscall(SYS_exit, 0);
    return 0;
  });
  REQUIRE(child.await(0, 1));
  REQUIRE(child.await_state('Z'));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  const auto seized = freeze(*task);
  REQUIRE_FALSE(seized.has_value());
  CHECK(seized.error().kind() == ErrorKind::kRefused);
  CHECK(seized.error().message().find("main thread") != std::string::npos);
}

TEST_CASE("an exec by another thread in the middle") {
  for (int round = 0; round < 30; ++round) {
    Child child([](SharedWords& words) {
      pthread_t thread;
      pthread_create(
          &thread, nullptr,
          [](void* shared) -> void* {
            static_cast<SharedWords*>(shared)->word[0] = 1;
            char name[] = "/bin/sleep", time[] = "60";
            char* arguments[] = {name, time, nullptr};
            char* environment[] = {nullptr};
            execve("/bin/sleep", arguments, environment);
            return nullptr;
          },
          &words);
      for (;;) pause();
      return 0;
    });
    REQUIRE(child.await(0, 1));
    if (round % 2 == 1) usleep(static_cast<useconds_t>(round * 20));
    const auto task = TaskHandle::open(HostPid(child.pid()));
    if (!task.has_value()) FAIL(task.error().message());
    auto seized = freeze(*task);
    INFO((seized.has_value() ? "" : seized.error().message()));
    REQUIRE(seized.has_value());
    CHECK(seized->leader().tid.value == child.pid());
    const auto released = seized->release(Mode::kResume);
    if (!released.has_value()) FAIL(released.error().message());
    CHECK(child.until([&] { return child.read("comm") == "sleep\n"; }));
  }
}

TEST_CASE("a wait without a limit does not see the freeze") {
  Child child([](SharedWords& words) {
    const int epoll = epoll_create1(0);
    words.word[0] = 1;
    epoll_event event;
    words.word[1] = epoll_wait(epoll, &event, 1, -1) == -1 ? 1 : 2;
    return 0;
  });
  REQUIRE(child.await(0, 1));
  REQUIRE(child.await_state('S'));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  auto seized = freeze(*task);
  REQUIRE(seized.has_value());
  REQUIRE(seized->release(Mode::kResume).has_value());
  usleep(20000);
  CHECK(child.word(1) == 0);
}

TEST_CASE("a target that is gone") {
  Child child([](SharedWords&) { return 0; });
  const auto task = TaskHandle::open(HostPid(child.pid()));
  REQUIRE(task.has_value());
  REQUIRE(child.await_state('Z'));
  const auto seized = freeze(*task);
  REQUIRE_FALSE(seized.has_value());
  CHECK(seized.error().kind() == ErrorKind::kTargetGone);
}

TEST_CASE("a stop request ends the freeze, the task runs on") {
  Child child(spin);
  REQUIRE(child.await(0, 1));
  StopRequest stop;
  stop.set(SIGINT);
  const auto task = TaskHandle::open(HostPid(child.pid()));
  const auto seized = SeizedTask::freeze(*task, Deadline::in(std::chrono::seconds(5)), stop);
  REQUIRE_FALSE(seized.has_value());
  CHECK(child.await(0, child.word(0) + 1000));
}

TEST_CASE("a deadline that is over ends the freeze, the task runs on") {
  Child child(spin);
  REQUIRE(child.await(0, 1));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  const auto seized = SeizedTask::freeze(*task, Deadline::in(std::chrono::seconds(0)), kNoStop);
  REQUIRE_FALSE(seized.has_value());
  CHECK(child.await(0, child.word(0) + 1000));
}

}  // namespace cryostat
