#include "engine/restore/machine_check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/arch/x86_64/cpu.h"
#include "engine/image/task_image.h"
#include "engine/restore/node_check.h"
#include "engine/restore/pid_holder.h"
#include "engine/task/tree_plan.h"
#include "proto/manifest.pb.h"
#include "tests/support/catch.h"

using namespace cryostat;

namespace {

pb::Manifest this_machine() {
  pb::Manifest manifest;
  manifest.set_page_size_bytes(4096);
  const arch::Cpu cpu = arch::this_cpu();
  manifest.mutable_cpu()->set_architecture("x86_64");
  manifest.mutable_cpu()->set_xcr0(cpu.xcr0);
  manifest.mutable_cpu()->set_xstate_size_bytes(cpu.xstate_size_bytes);
  for (const auto& component : cpu.xstate_layout) {
    auto& place = *manifest.mutable_cpu()->add_xstate_layout();
    place.set_number(component.number);
    place.set_offset_bytes(component.offset_bytes);
    place.set_size_bytes(component.size_bytes);
  }
  for (const auto& feature : cpu.features) manifest.mutable_cpu()->add_features(feature);
  return manifest;
}

// A number nobody has at the moment.
pid_t free_pid() {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  waitpid(pid, nullptr, 0);
  return pid;
}

image::TasksImage one_task(pid_t pid) {
  image::TasksImage tasks;
  auto& task = tasks.tasks.emplace_back();
  task.task.set_pid(pid);
  task.threads.emplace_back().set_tid(pid);
  return tasks;
}

bool says(const PlanReport& report, const std::string& text) {
  for (const auto& line : report.lines()) {
    if (line.starts_with("missing") && line.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("machine check: this machine fits itself") {
  PlanReport report;
  restore::check_machine(this_machine(), one_task(free_pid()), {}, report);
  for (const auto& line : report.lines()) INFO(line);
  if (geteuid() == 0) CHECK(report.complete());
}

TEST_CASE("machine check: each misfit is named") {
  auto manifest = this_machine();
  manifest.mutable_cpu()->set_architecture("riscv64");
  manifest.mutable_cpu()->set_xcr0(manifest.cpu().xcr0() | uint64_t{1} << 18);
  manifest.mutable_cpu()->add_features("warp_drive");
  manifest.set_page_size_bytes(65536);
  if (manifest.cpu().xstate_layout_size() > 0) {
    manifest.mutable_cpu()->mutable_xstate_layout(0)->set_offset_bytes(12);
  }
  PlanReport report;
  restore::check_machine(manifest, one_task(0x3ffffff), {}, report);
  CHECK(says(report, "riscv64"));
  CHECK(says(report, "AMX tile data"));
  CHECK(says(report, "lacks warp_drive"));
  CHECK(says(report, "65536"));
  CHECK(says(report, "pid 67108863: above the largest"));
  if (manifest.cpu().xstate_layout_size() > 0) CHECK(says(report, "lies at byte 12"));
  CHECK_FALSE(report.check());
}

TEST_CASE("pid holder: a process, a zombie, a process group") {
  CHECK_FALSE(restore::find_pid_holder(free_pid(), true));

  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  auto holder = restore::find_pid_holder(child, false);
  REQUIRE(holder);
  CHECK(holder->description.find("is taken by `unit_restore` (started ") != std::string::npos);
  kill(child, SIGKILL);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  holder = restore::find_pid_holder(child, false);
  REQUIRE(holder);
  CHECK(holder->description.find("zombie") != std::string::npos);
  waitpid(child, nullptr, 0);

  // A leader that is gone leaves its number to its group.
  const pid_t leader = fork();
  if (leader == 0) {
    setpgid(0, 0);
    const pid_t member = fork();
    if (member == 0) {
      for (;;) pause();
    }
    _exit(0);
  }
  waitpid(leader, nullptr, 0);
  holder = restore::find_pid_holder(leader, false);
  REQUIRE(holder);
  CHECK(holder->description.find("it is the process group of process ") != std::string::npos);
  kill(-leader, SIGKILL);
}

TEST_CASE("NUMA policies: nodes that are not here are named") {
  const auto check = [](uint32_t mode, const std::string& nodes) {
    image::CheckpointImages images;
    images.tasks.tasks.emplace_back().threads.emplace_back().set_tid(42);
    auto& policy = *images.tasks.tasks[0].threads[0].mutable_memory_policy();
    policy.set_mode(mode);
    policy.set_nodes(nodes);
    PlanReport report;
    restore::check_nodes(images, report);
    const auto done = report.check();
    return done ? std::string("ok") : done.error().message();
  };
  constexpr uint32_t kBind = 2;
  constexpr uint32_t kStatic = 1u << 15;
  const std::string far("\0\0\0\0\0\x80", 6);
  CHECK(check(0, "") == "ok");
  CHECK(check(kBind, "\x01") == "ok");
  CHECK(check(kBind, far).find("NUMA node 47") != std::string::npos);
  CHECK(check(kBind, far).find("thread 42") != std::string::npos);
  CHECK(check(kBind | kStatic, far).find("NUMA node 47") != std::string::npos);
  std::string one_is_here = far;
  one_is_here[0] = 1;
  CHECK(check(kBind | kStatic, one_is_here) == "ok");
  CHECK(check(kBind, std::string(200, '\1')).find("NUMA node") != std::string::npos);
}
