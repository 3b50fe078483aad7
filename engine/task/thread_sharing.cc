#include "engine/task/thread_sharing.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>

#include "engine/kernel/kcmp.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::task {

namespace {

// Mount and user namespaces are not here: a thread can't leave them while it shares its file-system state
// with others, resp. at all.
constexpr std::array kNamespaces = {"net", "uts", "ipc", "cgroup"};
using NamespaceInodes = std::array<ino_t, kNamespaces.size()>;

Result<bool> shares(Tid a, Tid b, kernel::KcmpType what) {
  return TRY(kernel::kcmp(a, b, what)) == kernel::KcmpOrder::kEqual;
}

// 0 for a namespace this kernel does not have.
NamespaceInodes namespaces_of(const TaskHandle& task, Tid tid) {
  NamespaceInodes inodes{};
  for (size_t i = 0; i < kNamespaces.size(); ++i) {
    const std::string name = fmt::format("task/{}/ns/{}", tid.value, kNamespaces[i]);
    struct stat found {};
    if (fstatat(task.proc().fd(), name.c_str(), &found, 0) == 0) inodes[i] = found.st_ino;
  }
  return inodes;
}

}  // namespace

Result<void> check_thread_sharing(const TaskHandle& task, const std::vector<Tid>& tids,
                                  Refusals& refusals) {
  if (tids.size() < 2) return {};
  const Tid leader = tids.front();
  const NamespaceInodes common = namespaces_of(task, leader);
  for (size_t i = 1; i < tids.size(); ++i) {
    const std::string object = fmt::format("thread {}", tids[i].value);
    if (!TRY(shares(leader, tids[i], kernel::KcmpType::kFiles)))
      refusals.add(task.pid(), object, "has a descriptor table of its own, it can't be checkpointed");
    if (!TRY(shares(leader, tids[i], kernel::KcmpType::kFs)))
      refusals.add(task.pid(), object,
                   "has a root or working directory of its own, it can't be checkpointed");
    const NamespaceInodes own = namespaces_of(task, tids[i]);
    for (size_t n = 0; n < kNamespaces.size(); ++n)
      if (own[n] != common[n])
        refusals.add(task.pid(), object,
                     fmt::format("is in a {} namespace of its own, it can't be checkpointed",
                                 kNamespaces[n]));
  }
  return {};
}

}  // namespace cryostat::task
