#include "engine/net/stand_in.h"

#include <fmt/format.h>
#include <grp.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

namespace cryostat::net {

Result<bool> act_as_gone_process(pid_t pid, const std::function<int()>& action) {
  clone_args args = {};
  args.flags = CLONE_FILES;
  args.exit_signal = 0;  // no SIGCHLD: the caller may be a task that is about to become another
  args.set_tid = reinterpret_cast<uintptr_t>(&pid);
  args.set_tid_size = 1;
  const long child = syscall(SYS_clone3, &args, sizeof args);
  if (child == 0) _exit(action());
  if (child < 0) {
    if (errno == EEXIST || errno == EPERM || errno == EINVAL || errno == ENOSYS) return false;
    return fail_errno(fmt::format("create a process with pid {}", pid));
  }
  int status = 0;
  while (waitpid(static_cast<pid_t>(child), &status, __WALL) < 0) {
    if (errno != EINTR) return fail_errno("wait for a process");
  }
  if (!WIFEXITED(status)) return fail(ErrorKind::kFailed, fmt::format("process {} died", pid));
  if (WEXITSTATUS(status) != 0)
    return fail_errno(WEXITSTATUS(status), fmt::format("act as process {}", pid));
  return true;
}

Result<BorrowedIdentity> BorrowedIdentity::take(uid_t uid, gid_t gid,
                                                const std::vector<gid_t>& groups) {
  BorrowedIdentity before;
  before.uid_ = geteuid();
  before.gid_ = getegid();
  const int count = getgroups(0, nullptr);
  before.groups_.resize(count > 0 ? static_cast<size_t>(count) : 0);
  if (getgroups(count, before.groups_.data()) < 0) return fail_errno("getgroups");
  if (before.uid_ == uid && before.gid_ == gid && before.groups_ == groups) return before;
  // A change of ids resets both (prctl(2)).
  before.dumpable_ = prctl(PR_GET_DUMPABLE);
  (void)prctl(PR_GET_PDEATHSIG, &before.death_signal_);
  before.changed_ = true;
  if ((before.groups_ != groups && setgroups(groups.size(), groups.data()) != 0) ||
      setresgid(-1, gid, -1) != 0 || setresuid(-1, uid, -1) != 0)
    return fail_errno(fmt::format("act as user {} and group {}", uid, gid));
  return before;
}

BorrowedIdentity::BorrowedIdentity(BorrowedIdentity&& other) noexcept
    : changed_(std::exchange(other.changed_, false)),
      uid_(other.uid_),
      gid_(other.gid_),
      groups_(std::move(other.groups_)),
      dumpable_(other.dumpable_),
      death_signal_(other.death_signal_) {}

BorrowedIdentity::~BorrowedIdentity() {
  if (!changed_) return;
  // The user first: it has the right to change the rest.
  (void)!setresuid(-1, uid_, -1);
  (void)!setresgid(-1, gid_, -1);
  (void)!setgroups(groups_.size(), groups_.data());
  if (dumpable_ == 0 || dumpable_ == 1) (void)prctl(PR_SET_DUMPABLE, dumpable_);
  if (death_signal_ != 0) (void)prctl(PR_SET_PDEATHSIG, death_signal_);
}

}  // namespace cryostat::net
