#include "engine/task/task_sharing.h"

#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "engine/base/refusals.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::task {

namespace {

struct Resource {
  int type;
  const char* name;
};
constexpr std::array kResources = {
    Resource{KCMP_VM, "address space (CLONE_VM)"},
    Resource{KCMP_FILES, "descriptor table (CLONE_FILES)"},
    Resource{KCMP_FS, "working directory and umask (CLONE_FS)"},
    Resource{KCMP_SIGHAND, "signal handlers (CLONE_SIGHAND)"},
};

Result<void> check_resource(std::span<const TaskHandle* const> tasks, const Resource& resource,
                            Refusals& refusals) {
  int error = 0;
  const auto compare = [&](const TaskHandle* a, const TaskHandle* b) {
    const long order = syscall(SYS_kcmp, a->pid().value, b->pid().value, resource.type, 0UL, 0UL);
    if (order < 0) error = errno;
    return order;
  };
  std::vector<const TaskHandle*> sorted(tasks.begin(), tasks.end());
  // A merge sort: it stays within bounds even if a failing kcmp makes the order inconsistent.
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const auto* a, const auto* b) { return compare(a, b) == 1; });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (compare(sorted[i - 1], sorted[i]) != 0) continue;
    refusals.add(sorted[i]->pid(), "",
                 fmt::format("shares its {} with pid {}: that can't be checkpointed yet",
                             resource.name, sorted[i - 1]->pid().value));
  }
  if (error != 0) return fail_errno(error, fmt::format("kcmp: {}", resource.name));
  return {};
}

}  // namespace

Result<void> check_task_sharing(std::span<const TaskHandle* const> tasks, Refusals& refusals) {
  if (tasks.size() < 2) return {};
  for (const Resource& resource : kResources) TRY(check_resource(tasks, resource, refusals));
  return {};
}

}  // namespace cryostat::task
