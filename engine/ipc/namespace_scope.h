// The calling thread in another IPC namespace for a while.
#pragma once

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::ipc {

// The thread comes back with the object (setns(2), CAP_SYS_ADMIN).
class NamespaceScope {
 public:
  // That of a process: `proc_fd` is its /proc directory.
  static Result<NamespaceScope> enter(int proc_fd);
  // A new one (unshare(2)), which lives as long as a process is in it.
  static Result<NamespaceScope> create();

  NamespaceScope(NamespaceScope&&) noexcept = default;
  NamespaceScope& operator=(NamespaceScope&&) = delete;
  ~NamespaceScope();

 private:
  explicit NamespaceScope(UniqueFd home) : home_(std::move(home)) {}
  UniqueFd home_;
};

}  // namespace cryostat::ipc
