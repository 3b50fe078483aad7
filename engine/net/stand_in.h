// Acting as a process that is gone: the kernel notes who made a socket pair or sent a message, and
// keeps the note when that process has ended.
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::net {

// Runs `action` in a short-lived process with this pid, which shares the caller's descriptors and
// has a copy of its memory; waits for it. False, with nothing done, when a process has that pid or
// it can't be chosen (clone3(2) set_tid, CAP_CHECKPOINT_RESTORE). `action` gives 0 or an errno
// value, which is returned as an error; what it changes in memory is lost. Precondition:
// single-threaded.
Result<bool> act_as_gone_process(pid_t pid, const std::function<int()>& action);

// While it lives this process acts with other effective ids and groups, for notes the kernel takes
// of them; the rest of its state (dumpable, parent-death signal) stays. Precondition:
// single-threaded; ids other than one's own need CAP_SETUID and CAP_SETGID.
class BorrowedIdentity {
 public:
  static Result<BorrowedIdentity> take(uid_t uid, gid_t gid, const std::vector<gid_t>& groups);
  BorrowedIdentity(BorrowedIdentity&& other) noexcept;
  BorrowedIdentity& operator=(BorrowedIdentity&&) = delete;
  ~BorrowedIdentity();

 private:
  BorrowedIdentity() = default;
  bool changed_ = false;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  std::vector<gid_t> groups_;
  int dumpable_ = 1;
  int death_signal_ = 0;
};

}  // namespace cryostat::net
