// A pid namespace whose init is a child of the engine: what a target forks into it belongs to the
// engine and not to the target.
#pragma once

#include <sys/types.h>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"

namespace cryostat {

// Guard. A process whose parent ends is adopted by the init of its pid namespace
// (pid_namespaces(7)); so a process in here has no tie to the task that started it, and everything
// in here is killed and reaped by the kernel when the init ends. The init ends with this object and
// with the engine, however the engine dies.
class FosterNamespace {
 public:
  // `owner`: effective uid of the tasks that are to join. They need no privilege for that: the pid
  // namespace belongs to a user namespace of `owner` (user_namespaces(7): its owner has all
  // capabilities in it). Where user namespaces are switched off the tasks need CAP_SYS_ADMIN.
  // Errors: kFailed, kPermission: limits on processes or namespaces.
  static Result<FosterNamespace> create(uid_t owner);
  FosterNamespace(FosterNamespace&& other) noexcept;
  FosterNamespace& operator=(FosterNamespace&&) = delete;
  ~FosterNamespace();

  uid_t owner() const { return owner_; }
  // For setns(2).
  int pid_namespace_fd() const { return pid_namespace_.get(); }
  int user_namespace_fd() const { return user_namespace_.get(); }  // -1: there is none
  // The adopted process that is number `inside` in the namespace, as seen from here. kTargetGone
  // when there is none.
  Result<HostPid> find(pid_t inside) const;

 private:
  FosterNamespace(uid_t owner, HostPid init, UniqueFd lifeline)
      : owner_(owner), init_(init), lifeline_(std::move(lifeline)) {}
  Result<void> open_namespaces(bool with_user_namespace);

  uid_t owner_;
  HostPid init_;
  UniqueFd lifeline_;  // the init ends when the last copy of it is closed
  UniqueFd pid_namespace_;
  UniqueFd user_namespace_;
};

}  // namespace cryostat
