#include "engine/files/kinds/pidfd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>

#include "engine/files/brief_process.h"
#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/restore_context.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::files {

namespace {

constexpr uint32_t kThreadFlag = O_EXCL;  // PIDFD_THREAD, 6.9

// PIDFD_GET_INFO (linux/pidfd.h): 6.13; the exit status of a process that is gone: 6.15.
struct PidFdInfo {
  uint64_t mask;
  uint64_t cgroup;
  uint32_t ids[11];  // pid, tgid, ppid, then uids and gids
  int32_t exit_code;
};
static_assert(sizeof(PidFdInfo) == 64);
constexpr unsigned long kGetInfo = _IOWR(0xff, 11, PidFdInfo);
constexpr uint64_t kInfoExit = 8;  // PIDFD_INFO_EXIT

int exit_status(int pidfd) {
  PidFdInfo info = {};
  info.mask = kInfoExit;
  return ioctl(pidfd, kGetInfo, &info) == 0 && (info.mask & kInfoExit) != 0 ? info.exit_code : 0;
}

bool is_on_pidfs(const OpenDescription& description) {  // 6.9: an inode for each process
  return description.link.starts_with("pidfd:");
}

}  // namespace

bool PidFdKind::matches(const OpenDescription& description) const {
  return description.info.pidfd_pid.has_value() &&
         (is_on_pidfs(description) || description.anonymous_inode() == "pidfd");
}

Result<void> PidFdKind::collect(CollectContext& context, const OpenDescription& description,
                                pb::Description& image) const {
  auto& pid_fd = *image.mutable_pid_fd();
  const auto pid = *description.info.pidfd_pid;
  pid_fd.set_thread((description.flags & kThreadFlag) != 0);
  if (pid <= 0) {
    // 0: a process outside of our pid namespace.
    if (pid == 0)
      return fail(ErrorKind::kRefused,
                  "pidfd of a process in another pid namespace can't be checkpointed");
    pid_fd.set_gone_id(is_on_pidfs(description) ? context.object_id(description) : description.id);
    pid_fd.set_exit_status(exit_status(description.copy.get()));
    return {};
  }
  if (!context.is_member(HostPid(static_cast<pid_t>(pid))))
    return fail(ErrorKind::kRefused,
                fmt::format("pidfd of process {}, which is not part of the target, can't be "
                            "checkpointed",
                            pid));
  pid_fd.set_pid(static_cast<int32_t>(pid));
  return {};
}

bool PidFdKind::owns(const pb::Description& image) const { return image.has_pid_fd(); }

void PidFdKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  if (image.pid_fd().gone_id() != 0)
    groups.join_object(image.id(), "gone process", image.pid_fd().gone_id());
}

Result<UniqueFd> PidFdKind::restore(RestoreContext& context, const pb::Description& image) const {
  const auto& pid_fd = image.pid_fd();
  const uint32_t flags = pid_fd.thread() ? kThreadFlag : 0;
  if (pid_fd.pid() != 0) return open_pidfd(pid_fd.pid(), flags);
  auto& gone = context.gone_processes;
  auto process = gone.find(pid_fd.gone_id());
  if (process == gone.end())
    process = gone.emplace(pid_fd.gone_id(), TRY(BriefProcess::create(0))).first;
  auto fd = TRY(open_pidfd(process->second.pid(), flags));
  // It stays a zombie until the context goes, when every pidfd of it is there.
  TRY(process->second.end(pid_fd.exit_status()));
  return fd;
}

}  // namespace cryostat::files
