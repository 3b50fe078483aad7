#include "engine/ipc/namespace_scope.h"

#include <fcntl.h>
#include <sched.h>

#include "engine/base/log.h"

namespace cryostat::ipc {

namespace {

// Of this thread: another one may be elsewhere.
Result<UniqueFd> open_own() {
  UniqueFd fd(open("/proc/thread-self/ns/ipc", O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open the own IPC namespace");
  return fd;
}

Failure refuse_without_right(const char* doing) {
  Error error = Error::from_errno(errno, doing);
  return Failure(std::move(error).with_hint("this needs CAP_SYS_ADMIN"));
}

}  // namespace

Result<NamespaceScope> NamespaceScope::enter(int proc_fd) {
  UniqueFd home = TRY(open_own());
  const UniqueFd there(openat(proc_fd, "ns/ipc", O_RDONLY | O_CLOEXEC));
  if (!there) return fail_errno("open an IPC namespace");
  if (setns(there.get(), CLONE_NEWIPC) != 0)
    return refuse_without_right("enter the target's IPC namespace");
  return NamespaceScope(std::move(home));
}

Result<NamespaceScope> NamespaceScope::create() {
  UniqueFd home = TRY(open_own());
  if (unshare(CLONE_NEWIPC) != 0) return refuse_without_right("create an IPC namespace");
  return NamespaceScope(std::move(home));
}

NamespaceScope::~NamespaceScope() {
  if (home_ && setns(home_.get(), CLONE_NEWIPC) != 0)
    log::warn("the engine could not leave an IPC namespace");
}

}  // namespace cryostat::ipc
