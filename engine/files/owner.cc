#include "engine/files/owner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "engine/files/collect_context.h"
#include "engine/procfs/task_handle.h"
#include "proto/files.pb.h"

namespace cryostat::files {

namespace {

constexpr int kGetOwnerUids =
    17;  // F_GETOWNER_UIDS, linux/fcntl.h; needs CONFIG_CHECKPOINT_RESTORE

// F_SETOWN_EX records the caller's uids, against which a signal's permission is checked later.
// Takes on the owner's for that moment; the saved uid stays, so that the way back is open. Plain
// system calls: only this thread, and no libc bookkeeping.
class BorrowedUids {
 public:
  BorrowedUids(uid_t uid, uid_t euid) {
    uid_t saved = 0;
    if (getresuid(&uid_, &euid_, &saved) != 0) return;
    if (uid == uid_ && euid == euid_) return;
    borrowed_ = syscall(SYS_setresuid, uid, euid, euid_) == 0;
  }
  BorrowedUids(const BorrowedUids&) = delete;
  BorrowedUids& operator=(const BorrowedUids&) = delete;
  ~BorrowedUids() {
    if (borrowed_) (void)syscall(SYS_setresuid, uid_, euid_, euid_);
  }

 private:
  uid_t uid_ = 0;
  uid_t euid_ = 0;
  bool borrowed_ = false;
};

bool is_of_target(const CollectContext& context, const struct f_owner_ex& owner) {
  // Of threads, only the leader exists when descriptors are restored.
  if (context.is_member(HostPid(owner.pid))) return true;
  if (owner.type != F_OWNER_PGRP) return false;
  // A group whose leader is gone.
  return kill(owner.pid, 0) != 0 && errno == ESRCH &&
         std::any_of(context.tasks().begin(), context.tasks().end(), [&](const TaskHandle* task) {
           return getpgid(task->pid().value) == owner.pid;
         });
}

}  // namespace

Result<void> collect_owner(const CollectContext& context, int fd, pb::Description& image) {
  struct f_owner_ex owner = {};
  if (fcntl(fd, F_GETOWN_EX, &owner) != 0) return fail_errno("F_GETOWN_EX");
  const int signal = fcntl(fd, F_GETSIG);
  if (signal < 0) return fail_errno("F_GETSIG");
  image.set_owner_signal(static_cast<uint32_t>(signal));
  if (owner.pid == 0) return {};
  if (!is_of_target(context, owner)) {
    static constexpr std::array<const char*, 3> kTypes = {"thread", "process", "process group"};
    return fail(ErrorKind::kRefused,
                fmt::format("its signals go to {} {}, which will not be there again when "
                            "descriptors are restored",
                            kTypes[static_cast<size_t>(owner.type) % kTypes.size()], owner.pid));
  }
  image.set_owner_type(static_cast<uint32_t>(owner.type));
  image.set_owner_pid(owner.pid);
  std::array<uid_t, 2> uids = {};
  if (fcntl(fd, kGetOwnerUids, uids.data()) == 0) {
    image.set_owner_uid(uids[0]);
    image.set_owner_euid(uids[1]);
  }
  return {};
}

Result<void> restore_owner(int fd, const pb::Description& image) {
  if (image.owner_signal() != 0 && fcntl(fd, F_SETSIG, image.owner_signal()) != 0)
    return fail_errno(fmt::format("set signal {} of descriptor {}", image.owner_signal(), fd));
  if (image.owner_pid() == 0) return {};
  struct f_owner_ex owner = {};
  owner.type = static_cast<decltype(owner.type)>(image.owner_type());
  owner.pid = image.owner_pid();
  const BorrowedUids uids(image.owner_uid(), image.owner_euid());
  if (fcntl(fd, F_SETOWN_EX, &owner) != 0)
    return fail_errno(fmt::format("set owner {} of descriptor {}", owner.pid, fd));
  return {};
}

}  // namespace cryostat::files
