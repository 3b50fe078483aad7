#include "engine/dump/outside_sharing.h"

#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

#include "engine/dump/children.h"
#include "engine/kernel/kcmp.h"
#include "engine/procfs/stat.h"

namespace cryostat::dump {

namespace {

constexpr std::array kResources = {
    std::pair{kernel::KcmpType::kVm, "address space (CLONE_VM)"},
    std::pair{kernel::KcmpType::kFiles, "descriptor table (CLONE_FILES)"},
    std::pair{kernel::KcmpType::kFs, "working directory and umask (CLONE_FS)"},
    std::pair{kernel::KcmpType::kSignalHandlers, "signal handlers (CLONE_SIGHAND)"},
};

}  // namespace

Result<void> refuse_outside_sharing(const TaskHandle& root, Refusals& refusals) {
  const procfs::Stat stat = TRY(procfs::parse_stat(TRY(root.proc().read("stat"))));
  // 0: outside of this pid namespace.
  const auto parent = stat.ppid == 0 ? Result<TaskHandle>(fail(ErrorKind::kTargetGone, "no parent"))
                                     : TaskHandle::open(HostPid(stat.ppid));
  if (!parent) return {};
  std::vector<HostPid> relatives = {parent->pid()};
  if (const auto siblings = children_of(*parent))
    relatives.insert(relatives.end(), siblings->begin(), siblings->end());
  for (const HostPid relative : relatives) {
    if (relative == root.pid()) continue;
    for (const auto& [type, name] : kResources) {
      const auto order = kernel::kcmp(Tid(root.pid().value), Tid(relative.value), type);
      if (!order || *order != kernel::KcmpOrder::kEqual) continue;
      refusals.add(root.pid(), "",
                   fmt::format("shares its {} with pid {} outside of the tree: that can't be "
                               "checkpointed",
                               name, relative.value));
    }
  }
  return {};
}

}  // namespace cryostat::dump
