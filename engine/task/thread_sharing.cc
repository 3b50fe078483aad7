#include "engine/task/thread_sharing.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "engine/procfs/task_handle.h"

namespace cryostat::task {

namespace {

// Mount and user namespaces are not here: a thread can't leave them while it shares its file-system state
// with others, resp. at all.
constexpr std::array kNamespaces = {"net", "uts", "ipc", "cgroup"};
using NamespaceInodes = std::array<ino_t, kNamespaces.size()>;

Result<bool> shares(Tid a, Tid b, int what, const char* words) {
  const long result = syscall(SYS_kcmp, a.value, b.value, what, 0, 0);
  if (result < 0)
    return fail_errno(fmt::format("compare {} of threads {} and {}", words, a.value, b.value));
  return result == 0;
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
    if (!TRY(shares(leader, tids[i], KCMP_FILES, "descriptor tables")))
      refusals.add(task.pid(), object, "has a descriptor table of its own, it can't be checkpointed");
    if (!TRY(shares(leader, tids[i], KCMP_FS, "file-system state")))
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
