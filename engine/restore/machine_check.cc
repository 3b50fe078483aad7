#include "engine/restore/machine_check.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <vector>

#include "engine/arch/x86_64/cpu.h"
#include "engine/image/task_image.h"
#include "engine/kernel/capabilities.h"
#include "engine/procfs/task_handle.h"
#include "engine/restore/pid_holder.h"
#include "engine/task/tree_plan.h"
#include "proto/manifest.pb.h"

namespace cryostat::restore {

namespace {

constexpr size_t kMaxNamed = 8;  // holders named one by one before the rest is only counted

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void check_architecture(const pb::Manifest& manifest, PlanReport& report) {
  const std::string& architecture = manifest.cpu().architecture();
  if (architecture == arch::kArchitecture) {
    report.ok("architecture", architecture);
  } else {
    report.missing("architecture", fmt::format("the checkpoint is from {}, this machine is {}",
                                               architecture, arch::kArchitecture));
  }
  const auto page_size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (manifest.page_size_bytes() == page_size) {
    report.ok("page size", fmt::format("{} bytes", page_size));
  } else {
    report.missing("page size",
                   fmt::format("the checkpoint has pages of {} bytes, this machine of {}",
                               manifest.page_size_bytes(), page_size));
  }
}

// A component lies at its place in the saved area by the rules of the processor it was saved on,
// and vendors place AVX-512 and PKRU differently.
void check_layout(const pb::Cpu& needed, const arch::Cpu& present, PlanReport& report) {
  for (const auto& component : needed.xstate_layout()) {
    const auto same = std::find_if(
        present.xstate_layout.begin(), present.xstate_layout.end(),
        [&](const arch::XstateComponent& mine) { return mine.number == component.number(); });
    if (same == present.xstate_layout.end() || (same->offset_bytes == component.offset_bytes() &&
                                                same->size_bytes == component.size_bytes())) {
      continue;  // an absent one is reported by name already
    }
    report.missing(
        "processor state",
        fmt::format("{} lies at byte {} of the saved state, at byte {} on this processor",
                    arch::xstate_component_names(uint64_t{1} << component.number()),
                    component.offset_bytes(), same->offset_bytes));
  }
}

void check_processor(const pb::Cpu& needed, PlanReport& report) {
  const arch::Cpu present = arch::this_cpu();
  const std::string models =
      needed.model_name() == present.model_name
          ? std::string()
          : fmt::format(" (taken on {}, this is {})", needed.model_name(), present.model_name);
  if (const uint64_t absent = needed.xcr0() & ~present.xcr0; absent != 0) {
    report.missing("processor state", fmt::format("this machine has no {}{}",
                                                  arch::xstate_component_names(absent), models));
  } else if (needed.xstate_size_bytes() > arch::kXstateMaxBytes) {
    report.missing("processor state", fmt::format("{} bytes of it", needed.xstate_size_bytes()), "",
                   ErrorKind::kImages);
  } else {
    report.ok("processor state", arch::xstate_component_names(needed.xcr0()));
  }
  check_layout(needed, present, report);
  const std::vector<std::string> absent = arch::missing_features(
      {needed.features().begin(), needed.features().end()}, present.features);
  if (absent.empty()) {
    report.ok("processor features", fmt::format("all {} are here", needed.features_size()));
  } else {
    report.missing("processor features",
                   fmt::format("this processor lacks {}{}", joined(absent), models),
                   "the program may have chosen its code by them");
  }
}

void check_privileges(PlanReport& report) {
  const auto privileges = kernel::this_privileges();
  if (!privileges) {
    report.missing("privileges", privileges.error());
    return;
  }
  if (privileges->checkpoint_restore) {
    report.ok("privileges", privileges->sys_admin ? "CAP_SYS_ADMIN" : "CAP_CHECKPOINT_RESTORE");
    return;
  }
  report.missing("privileges",
                 fmt::format("cr-restore (uid {}) lacks CAP_CHECKPOINT_RESTORE, without which no "
                             "process id can be chosen",
                             geteuid()),
                 "run it as root or with that capability", ErrorKind::kPermission);
}

// Asked with arguments that fail before anything happens.
void check_kernel(PlanReport& report) {
  // clone3(2), 5.3; set_tid came with 5.5 and with it the 80-byte argument struct.
  uint64_t arguments[10] = {};
  arguments[9] = UINT64_MAX;  // set_tid_size beyond every limit: EINVAL
  if (syscall(SYS_clone3, arguments, sizeof(arguments)) < 0 && errno == EINVAL) {
    report.ok("kernel feature clone3 with set_tid");
  } else {
    report.missing("kernel feature clone3 with set_tid", "this kernel does not have it");
  }
}

std::optional<pid_t> read_pid_max() {
  const auto dir = ProcDir::open("/proc/sys/kernel");
  const auto text = dir ? dir->read("pid_max") : Result<std::string>(tl::unexpected(dir.error()));
  pid_t value = 0;
  if (!text ||
      std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc()) {
    return std::nullopt;
  }
  return value;
}

void check_pids(const image::TasksImage& tasks, const task::TreePlan& tree, PlanReport& report) {
  const std::optional<pid_t> pid_max = read_pid_max();
  size_t taken = 0;
  size_t total = 0;
  const auto check = [&](pid_t pid) {
    ++total;
    if (pid_max && pid >= *pid_max) {
      if (++taken > kMaxNamed) return;
      report.missing(fmt::format("pid {}", pid),
                     fmt::format("above the largest this kernel gives out ({})", *pid_max - 1),
                     "raise the sysctl kernel.pid_max");
      return;
    }
    const auto holder = find_pid_holder(pid, false);
    if (holder && ++taken <= kMaxNamed) report.missing("", holder->description, holder->hint);
  };
  for (const image::TaskImage& task : tasks.tasks) {
    if (task.task.has_zombie()) check(task.task.pid());
    for (const pb::Thread& thread : task.threads) check(thread.tid());
  }
  for (const task::Birth& birth : tree.births)
    if (birth.is_placeholder()) check(birth.pid);
  if (tree.root_session != 0) check(tree.root_session);
  if (taken > kMaxNamed) {
    report.missing("pids", fmt::format("{} more are taken", taken - kMaxNamed));
  }
  if (taken == 0) {
    report.ok(total == 1
                  ? fmt::format("pid {}", tasks.root().task.pid())
                  : fmt::format("pid {} and {} thread ids", tasks.root().task.pid(), total - 1),
              "free");
  }
}

}  // namespace

void check_machine(const pb::Manifest& manifest, const image::TasksImage& tasks,
                   const task::TreePlan& tree, PlanReport& report) {
  check_architecture(manifest, report);
  check_processor(manifest.cpu(), report);
  check_kernel(report);
  check_privileges(report);
  check_pids(tasks, tree, report);
}

}  // namespace cryostat::restore
