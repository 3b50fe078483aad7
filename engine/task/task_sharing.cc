#include "engine/task/task_sharing.h"

#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "engine/procfs/task_handle.h"

namespace cryostat::task {

namespace {

struct Kind {
  int type;
  const char* name;
};
constexpr std::array<Kind, static_cast<size_t>(Resource::kCount)> kKinds = {{
    {KCMP_VM, "address spaces"},
    {KCMP_FILES, "descriptor tables"},
    {KCMP_FS, "working directories"},
    {KCMP_SIGHAND, "signal handlers"},
}};

Result<std::vector<size_t>> find_leaders(std::span<const TaskHandle* const> tasks, Kind kind) {
  int error = 0;
  const auto compare = [&](size_t a, size_t b) {
    const long order =
        syscall(SYS_kcmp, tasks[a]->pid().value, tasks[b]->pid().value, kind.type, 0UL, 0UL);
    if (order < 0) error = errno;
    return order;
  };
  std::vector<size_t> sorted(tasks.size());
  std::iota(sorted.begin(), sorted.end(), 0);
  // A merge sort: it stays within bounds even if a failing kcmp makes the order inconsistent.
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](size_t a, size_t b) { return compare(a, b) == 1; });
  // Stable: the first of those that are the same comes first.
  std::vector<size_t> leaders(tasks.size());
  for (size_t i = 0; i < sorted.size(); ++i) {
    const bool same = i > 0 && compare(sorted[i - 1], sorted[i]) == 0;
    leaders[sorted[i]] = same ? leaders[sorted[i - 1]] : sorted[i];
  }
  if (error != 0) return fail_errno(error, fmt::format("kcmp: {}", kind.name));
  return leaders;
}

}  // namespace

Result<TaskSharing> TaskSharing::find(std::span<const TaskHandle* const> tasks) {
  TaskSharing sharing;
  for (size_t i = 0; i < kKinds.size(); ++i)
    sharing.leaders_[i] =
        tasks.size() < 2 ? std::vector<size_t>(tasks.size()) : TRY(find_leaders(tasks, kKinds[i]));
  return sharing;
}

bool TaskSharing::is_shared(Resource resource, size_t task) const {
  return std::ranges::count(leaders_of(resource), leader(resource, task)) > 1;
}

}  // namespace cryostat::task
