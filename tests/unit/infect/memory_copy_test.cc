#include "engine/infect/memory_copy.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstring>
#include <optional>

#include "engine/infect/foster_namespace.h"
#include "engine/infect/infected_task.h"
#include "engine/kernel/process_memory.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"
#include "tests/support/catch.h"
#include "tests/support/child.h"

namespace cryostat {
namespace {

using testing::Child;
using testing::SharedWords;

const StopRequest kNoStop;

Deadline soon() { return Deadline::in(std::chrono::seconds(5)); }

volatile uint64_t counter = 0;

// Counts in its own memory (word 0 follows); word 1: children it can see or was told of.
int count(SharedWords& words) {
  static SharedWords* seen;
  seen = &words;
  signal(SIGCHLD, [](int) { ++seen->word[1]; });
  for (;;) {
    counter = counter + 1;
    words.word[0] = counter;
    if (counter % 1000 == 0 && waitpid(-1, nullptr, __WALL | WNOHANG) != -1) ++words.word[1];
  }
}

struct Frozen {
  explicit Frozen(pid_t pid) {
    auto opened = TaskHandle::open(HostPid(pid));
    REQUIRE(opened);
    handle.emplace(std::move(*opened));
    auto frozen = SeizedTask::freeze(*handle, soon(), kNoStop);
    REQUIRE(frozen);
    seized.emplace(std::move(*frozen));
    auto injected = InfectedTask::inject(*seized, soon(), kNoStop);
    REQUIRE(injected);
    infected.emplace(std::move(*injected));
  }
  void release() {
    CHECK(infected->cure());
    CHECK(seized->release(SeizedTask::Mode::kResume));
  }
  std::optional<TaskHandle> handle;
  std::optional<SeizedTask> seized;
  std::optional<InfectedTask> infected;
};

uint64_t counter_of(HostPid pid) {
  const auto value =
      kernel::read_object<uint64_t>(pid, RemoteAddr(reinterpret_cast<uint64_t>(&counter)));
  return value ? *value : 0;
}

bool is_gone(pid_t pid) {
  return Child::until([&] { return access(("/proc/" + std::to_string(pid)).c_str(), F_OK) != 0; });
}

}  // namespace

TEST_CASE("a memory copy stands still while the task goes on") {
  Child child(count);
  REQUIRE(child.await(0, 10000));
  auto foster = FosterNamespace::create(geteuid());
  REQUIRE(foster);
  Frozen frozen(child.pid());
  const uint64_t at_freeze = counter_of(HostPid(child.pid()));
  auto copy = MemoryCopy::fork(*frozen.seized, *frozen.infected, *foster);
  if (!copy) FAIL(copy.error().message());
  frozen.release();
  REQUIRE(child.await(0, at_freeze + 100000));
  REQUIRE(copy->open(soon(), kNoStop));
  CHECK(counter_of(copy->pid()) == at_freeze);

  // It is no relative of the task, and has nothing open.
  const auto status = procfs::parse_status(*copy->task().proc().read("status"));
  REQUIRE(status);
  CHECK(status->ppid != child.pid());
  CHECK(status->ppid != getpid());
  CHECK(copy->task().proc().list_numbers("fd")->empty());
  CHECK(child.read("task/" + std::to_string(child.pid()) + "/children").empty());

  const pid_t pid = copy->pid().value;
  CHECK(copy->end());
  CHECK(is_gone(pid));
  REQUIRE(child.await(0, child.word(0) + 100000));
  CHECK(child.word(1) == 0);
}

TEST_CASE("a memory copy ends with its object, and with its namespace") {
  Child child(count);
  REQUIRE(child.await(0, 1));
  std::optional<FosterNamespace> foster(std::move(*FosterNamespace::create(geteuid())));
  pid_t pids[2] = {};
  {
    Frozen frozen(child.pid());
    auto first = MemoryCopy::fork(*frozen.seized, *frozen.infected, *foster);
    REQUIRE(first);
    pids[0] = first->pid().value;
    auto second = MemoryCopy::fork(*frozen.seized, *frozen.infected, *foster);
    REQUIRE(second);
    pids[1] = second->pid().value;
    CHECK(pids[0] != pids[1]);
    { const MemoryCopy dropped = std::move(*first); }
    CHECK(is_gone(pids[0]));
    foster.reset();
    CHECK(is_gone(pids[1]));
    frozen.release();
  }
  CHECK(child.word(1) == 0);
}

TEST_CASE("a task of another user is copied without privileges of its own") {
  Child child([](SharedWords& words) {
    if (setresuid(12345, 12345, 12345) != 0) return 1;
    return count(words);
  });
  REQUIRE(child.await(0, 1));
  auto foster = FosterNamespace::create(12345);
  REQUIRE(foster);
  if (foster->user_namespace_fd() < 0) {
    WARN("no user namespaces here");
    return;
  }
  Frozen frozen(child.pid());
  auto copy = MemoryCopy::fork(*frozen.seized, *frozen.infected, *foster);
  if (!copy) FAIL(copy.error().message());
  frozen.release();
  CHECK(copy->open(soon(), kNoStop));
  CHECK(copy->end());
  CHECK(child.word(1) == 0);
}

TEST_CASE("a fork that a limit forbids leaves the task as it was") {
  Child child([](SharedWords& words) {
    if (setresuid(12346, 12346, 12346) != 0) return 1;
    const rlimit none{0, 0};
    setrlimit(RLIMIT_NPROC, &none);
    return count(words);
  });
  REQUIRE(child.await(0, 1));
  auto foster = FosterNamespace::create(12346);
  REQUIRE(foster);
  Frozen frozen(child.pid());
  const auto copy = MemoryCopy::fork(*frozen.seized, *frozen.infected, *foster);
  CHECK_FALSE(copy);
  frozen.release();
  CHECK(child.await(0, child.word(0) + 10000));
  CHECK(child.word(1) == 0);
}

TEST_CASE("the foster namespace ends with the process that made it") {
  int channel[2];
  REQUIRE(pipe2(channel, O_CLOEXEC) == 0);
  const pid_t engine = fork();
  if (engine == 0) {
    const auto foster = FosterNamespace::create(geteuid());
    pid_t init = 0;
    // Its only child.
    const int fd =
        open(("/proc/self/task/" + std::to_string(getpid()) + "/children").c_str(), O_RDONLY);
    char text[64] = {};
    if (foster && fd >= 0 && read(fd, text, sizeof(text) - 1) > 0) init = atoi(text);
    if (write(channel[1], &init, sizeof(init)) != sizeof(init)) _exit(1);
    for (;;) pause();
  }
  pid_t init = 0;
  REQUIRE(read(channel[0], &init, sizeof(init)) == sizeof(init));
  REQUIRE(init > 0);
  kill(engine, SIGKILL);
  waitpid(engine, nullptr, 0);
  // Reaped by whoever adopts orphans here; a zombie counts as ended.
  CHECK(Child::until([&] {
    std::ifstream stat("/proc/" + std::to_string(init) + "/stat");
    std::string text;
    std::getline(stat, text);
    return text.empty() || text.find(") Z") != std::string::npos;
  }));
  close(channel[0]);
  close(channel[1]);
}

}  // namespace cryostat
