#include "engine/infect/infected_task.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cstring>
#include <optional>

#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"
#include "tests/support/catch.h"
#include "tests/support/child.h"
#include "tests/unit/infect/watch_registers.h"

namespace cryostat {
namespace {

using testing::Child;
using testing::SharedWords;
using testing::watch_registers;
using Mode = SeizedTask::Mode;

const StopRequest kNoStop;

Deadline soon() { return Deadline::in(std::chrono::seconds(5)); }

struct Infected {
  explicit Infected(pid_t pid) {
    auto opened = TaskHandle::open(HostPid(pid));
    REQUIRE(opened.has_value());
    handle.emplace(std::move(*opened));
    auto frozen = SeizedTask::freeze(*handle, soon(), kNoStop);
    REQUIRE(frozen.has_value());
    seized.emplace(std::move(*frozen));
    auto injected = InfectedTask::inject(*seized, soon(), kNoStop);
    if (!injected.has_value()) FAIL(injected.error().message());
    infected.emplace(std::move(*injected));
  }
  void end() {
    CHECK(infected->cure().has_value());
    CHECK(seized->release(Mode::kResume).has_value());
  }
  std::optional<TaskHandle> handle;
  std::optional<SeizedTask> seized;
  std::optional<InfectedTask> infected;
};

}  // namespace

TEST_CASE("registers, mappings and descriptors are as before after a cure") {
  Child child(watch_registers);
  REQUIRE(child.await(0, 1));
  const std::string maps = child.read("maps");
  const auto descriptors = child.descriptors();
  for (int round = 0; round < 100; ++round) {
    Infected target(child.pid());
    CHECK(target.infected->ping().has_value());
    CHECK(child.descriptors() == descriptors);
    REQUIRE(target.infected->can_receive_fds());
    const auto fd = target.infected->send_fd(STDOUT_FILENO);
    REQUIRE(fd.has_value());
    CHECK(child.descriptors().size() == descriptors.size() + 3);
    target.end();
    CHECK(child.read("maps") == maps);
    CHECK(child.descriptors() == descriptors);
    REQUIRE(child.await(0, child.word(0) + 1));
  }
  CHECK(child.word(1) == 0);
}

TEST_CASE("the area is one mapping of its own") {
  Child child(watch_registers);
  REQUIRE(child.await(0, 1));
  Infected target(child.pid());
  char line[64];
  snprintf(line, sizeof(line), "%lx-", target.infected->area_start().value);
  CHECK(child.read("maps").find(line) != std::string::npos);
  snprintf(line, sizeof(line), "-%lx ", target.infected->area_end().value);
  CHECK(child.read("maps").find(line) != std::string::npos);
  target.end();
}

TEST_CASE("a sleep goes on with the time left") {
  Child child([](SharedWords& words) {
    timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    words.word[0] = 1;
    const timespec time{.tv_sec = 0, .tv_nsec = 400'000'000};
    const int result = nanosleep(&time, nullptr);
    clock_gettime(CLOCK_MONOTONIC, &end);
    words.word[1] = static_cast<uint64_t>((end.tv_sec - start.tv_sec) * 1'000'000'000 +
                                          end.tv_nsec - start.tv_nsec);
    words.word[2] = result == 0 ? 1 : 2;
    return 0;
  });
  REQUIRE(child.await(0, 1));
  REQUIRE(child.await_state('S'));
  for (int round = 0; round < 5; ++round) {
    Infected target(child.pid());
    CHECK(target.infected->collect_thread_states().has_value());
    target.end();
    usleep(20000);
  }
  REQUIRE(child.await(2, 1));
  CHECK(child.word(2) == 1);
  CHECK(child.word(1) >= 400'000'000);
  CHECK(child.word(1) < 480'000'000);
}

TEST_CASE("every thread tells its state") {
  Child child([](SharedWords& words) {
    static SharedWords* shared = &words;
    pthread_t thread;
    for (int i = 0; i < 299; ++i) {
      pthread_create(
          &thread, nullptr,
          [](void* index) -> void* {
            char name[16];
            snprintf(name, sizeof(name), "worker-%d",
                     static_cast<int>(reinterpret_cast<intptr_t>(index)));
            pthread_setname_np(pthread_self(), name);
            ++shared->word[0];
            for (;;) usleep(1000), ++shared->word[1];
          },
          reinterpret_cast<void*>(static_cast<intptr_t>(i)));
    }
    for (;;) pause();
    return 0;
  });
  REQUIRE(child.await(0, 299));
  const std::string maps = child.read("maps");
  for (int round = 0; round < 5; ++round) {
    Infected target(child.pid());
    const auto reports = target.infected->collect_thread_states();
    if (!reports.has_value()) FAIL(reports.error().message());
    REQUIRE(reports->size() == 300);
    for (size_t i = 0; i < reports->size(); ++i) {
      const auto& report = (*reports)[i];
      REQUIRE(report.done == 1);
      const int tid = target.seized->threads()[i].tid.value;
      std::string comm = child.read("task/" + std::to_string(tid) + "/comm");
      CHECK(std::string(report.comm) + "\n" == comm);
    }
    target.end();
    CHECK(child.read("maps") == maps);
    REQUIRE(child.await(1, child.word(1) + 300));
  }
}

TEST_CASE("the task's state: handlers") {
  Child child([](SharedWords& words) {
    signal(SIGUSR1, [](int) {});
    signal(SIGTRAP, SIG_IGN);
    words.word[0] = 1;
    for (;;) pause();
    return 0;
  });
  REQUIRE(child.await(0, 1));
  Infected target(child.pid());
  wire::TaskStateReport report{};
  REQUIRE(target.infected->collect_task_state(report).has_value());
  CHECK(report.actions[SIGUSR1 - 1].handler > 1);
  CHECK(report.actions[SIGTRAP - 1].handler == 1);
  target.end();
}

TEST_CASE("signals that come meanwhile are pending afterwards, and no action changes") {
  Child child([](SharedWords& words) {
    static SharedWords* shared = &words;
    struct sigaction action {};
    action.sa_handler = [](int) { ++shared->word[1]; };
    sigaction(SIGRTMIN, &action, nullptr);
    signal(SIGTRAP, SIG_IGN);
    words.word[0] = 1;
    for (;;) pause();
    return 0;
  });
  REQUIRE(child.await(0, 1));
  const auto ignored = [&] {
    const std::string status = child.read("status");
    return status.substr(status.find("SigIgn:"), 60);
  };
  const std::string before = ignored();
  Infected target(child.pid());
  const sigval value{.sival_int = 0};
  uint64_t sent = 0;
  for (int i = 0; i < 50; ++i) {
    for (const int signal : {SIGWINCH, SIGURG, SIGCHLD}) kill(child.pid(), signal);
    sent += sigqueue(child.pid(), SIGRTMIN, value) == 0;
    CHECK(target.infected->ping().has_value());
    CHECK(target.infected->collect_thread_states().has_value());
  }
  CHECK(child.word(1) == 0);
  target.end();
  CHECK(child.await(1, sent));
  CHECK(ignored() == before);
}

TEST_CASE("SIGSTOP during the infection stops the task at the end of it") {
  Child child(watch_registers);
  REQUIRE(child.await(0, 1));
  {
    Infected target(child.pid());
    kill(child.pid(), SIGSTOP);
    for (int i = 0; i < 10; ++i) CHECK(target.infected->ping().has_value());
    target.end();
  }
  REQUIRE(child.await_state('T'));
  kill(child.pid(), SIGCONT);
  CHECK(child.await(0, child.word(0) + 2));
  CHECK(child.word(1) == 0);
}

TEST_CASE("a stopped task is infected and stays stopped") {
  Child child(watch_registers);
  REQUIRE(child.await(0, 1));
  kill(child.pid(), SIGSTOP);
  REQUIRE(child.await_state('T'));
  {
    Infected target(child.pid());
    CHECK(target.infected->ping().has_value());
    CHECK(target.infected->collect_thread_states().has_value());
    target.end();
  }
  REQUIRE(child.await_state('T'));
  kill(child.pid(), SIGCONT);
  CHECK(child.await(0, child.word(0) + 2));
  CHECK(child.word(1) == 0);
}

TEST_CASE("without a free descriptor number all but the channel works") {
  Child child([](SharedWords& words) {
    const rlimit limit{.rlim_cur = 16, .rlim_max = 16};
    setrlimit(RLIMIT_NOFILE, &limit);
    while (dup(0) >= 0) {
    }
    return watch_registers(words);
  });
  REQUIRE(child.await(0, 1));
  Infected target(child.pid());
  CHECK(target.infected->ping().has_value());
  CHECK_FALSE(target.infected->can_receive_fds());
  CHECK_FALSE(target.infected->send_fd(1).has_value());
  CHECK(target.infected->collect_thread_states().has_value());
  target.end();
  CHECK(child.await(0, child.word(0) + 1));
  CHECK(child.word(1) == 0);
}

TEST_CASE("the target is killed meanwhile") {
  Child child(watch_registers);
  REQUIRE(child.await(0, 1));
  Infected target(child.pid());
  kill(child.pid(), SIGKILL);
  const auto answer = target.infected->ping();
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().kind() == ErrorKind::kTargetGone);
  CHECK_FALSE(target.infected->cure().has_value());
}

TEST_CASE("no room for the parasite") {
  Child child([](SharedWords& words) {
    const rlimit limit{.rlim_cur = 1, .rlim_max = 1};
    setrlimit(RLIMIT_AS, &limit);
    return watch_registers(words);
  });
  REQUIRE(child.await(0, 1));
  const auto task = TaskHandle::open(HostPid(child.pid()));
  {
    auto seized = SeizedTask::freeze(*task, soon(), kNoStop);
    REQUIRE(seized.has_value());
    const auto infected = InfectedTask::inject(*seized, soon(), kNoStop);
    REQUIRE_FALSE(infected.has_value());
    CHECK(infected.error().kind() == ErrorKind::kRefused);
  }
  CHECK(child.await(0, child.word(0) + 2));
  CHECK(child.word(1) == 0);
}

}  // namespace cryostat
