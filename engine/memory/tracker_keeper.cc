#include "engine/memory/tracker_keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "engine/kernel/pidfd.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

constexpr char kKeeperName[] = "cr-keeper";  // comm
constexpr char kStateName[] = "cryostat-keeper";
constexpr std::array<char, 8> kMagic = {'C', 'R', 'K', 'E', 'E', 'P', 'E', 'R'};

// The descriptors a keeper holds, by number.
constexpr int kStateFd = 0;
constexpr int kTargetFd = 1;
constexpr int kUserfaultFd = 2;
constexpr int kKeeperFds = 3;

// What the state file holds; written by cr-dump, by nobody else.
struct State {
  std::array<char, 8> magic = kMagic;
  int32_t target_pid = 0;
  uint32_t tracker = 0;  // TrackerChoice
  uint64_t target_start_time_ticks = 0;
  std::array<char, 64> checkpoint_id = {};  // ends with a NUL
};

Result<void> write_state(int fd, const KeeperInfo& info) {
  State state;
  state.target_pid = info.target.value;
  state.tracker = static_cast<uint32_t>(info.tracker);
  state.target_start_time_ticks = info.target_start_time_ticks;
  info.checkpoint_id.copy(state.checkpoint_id.data(), state.checkpoint_id.size() - 1);
  if (pwrite(fd, &state, sizeof(state), 0) != sizeof(state))
    return fail_errno("write the state of a tracker's keeper");
  return {};
}

Result<UniqueFd> create_state(const KeeperInfo& info) {
  UniqueFd fd(memfd_create(kStateName, MFD_CLOEXEC));
  if (!fd) return fail_errno("create the state of a tracker's keeper");
  TRY(write_state(fd.get(), info));
  return fd;
}

// The keeper itself, a fork of the engine: system calls only.
[[noreturn]] void keep(const std::array<int, kKeeperFds>& fds) {
  // Out of the way of the numbers they get.
  std::array<int, kKeeperFds> high = {-1, -1, -1};
  for (int i = 0; i < kKeeperFds; ++i)
    if (fds[i] >= 0) high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, kKeeperFds);
  for (int i = 0; i < kKeeperFds; ++i) {
    if (high[i] >= 0)
      dup3(high[i], i, O_CLOEXEC);
    else
      close(i);
  }
  syscall(SYS_close_range, kKeeperFds, ~0U, 0);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_NAME, kKeeperName);
  if (chdir("/") != 0) _exit(1);
  pollfd target = {kTargetFd, POLLIN, 0};
  while (poll(&target, 1, -1) < 0 && errno == EINTR) {
  }
  _exit(0);
}

// Forks twice: the keeper is nobody's child but init's. Returns its pid.
Result<HostPid> fork_keeper(const std::array<int, kKeeperFds>& fds) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno("create a pipe to a tracker's keeper");
  const UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  const pid_t middle = fork();
  if (middle < 0) return fail_errno("fork a tracker's keeper");
  if (middle == 0) {
    setsid();
    const pid_t keeper = fork();
    if (keeper == 0) keep(fds);
    const bool told = keeper > 0 && write(to.get(), &keeper, sizeof(keeper)) == sizeof(keeper);
    _exit(told ? 0 : 1);
  }
  to.reset();
  pid_t keeper = 0;
  ssize_t got;
  do {
    got = read(from.get(), &keeper, sizeof(keeper));
  } while (got < 0 && errno == EINTR);
  while (waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (got != sizeof(keeper)) return fail(ErrorKind::kFailed, "fork a tracker's keeper: no answer");
  return HostPid(keeper);
}

bool is_keeper(const ProcDir& proc) {
  const auto comm = proc.read("comm");
  if (!comm || *comm != std::string(kKeeperName) + "\n") return false;
  const auto link = proc.read_link(fmt::format("fd/{}", kStateFd));
  return link && link->starts_with(std::string("/memfd:") + kStateName);
}

}  // namespace

Result<TrackerKeeper> TrackerKeeper::start(const TaskHandle& target, TrackerChoice tracker,
                                           UniqueFd userfaultfd) {
  TrackerKeeper keeper;
  keeper.info_.target = target.pid();
  keeper.info_.target_start_time_ticks = target.start_time_ticks();
  keeper.info_.tracker = tracker;
  keeper.state_ = TRY(create_state(keeper.info_));
  keeper.userfaultfd_ = std::move(userfaultfd);
  keeper.info_.pid =
      TRY(fork_keeper({keeper.state_.get(), target.pidfd(), keeper.userfaultfd_.get()}));
  const TaskHandle handle = TRY(TaskHandle::open(keeper.info_.pid));
  keeper.info_.start_time_ticks = handle.start_time_ticks();
  keeper.pidfd_ = TRY(kernel::pidfd_open(keeper.info_.pid));
  return keeper;
}

// Nothing when the process is no keeper.
Result<std::optional<TrackerKeeper>> TrackerKeeper::open(HostPid pid) {
  const auto handle = TaskHandle::open(pid);
  if (!handle || !is_keeper(handle->proc())) return std::nullopt;
  TrackerKeeper keeper;
  keeper.info_.pid = pid;
  keeper.info_.start_time_ticks = handle->start_time_ticks();
  keeper.pidfd_ = TRY(kernel::pidfd_open(pid));
  keeper.state_ = TRY_IN(handle->get_fd(RemoteFd(kStateFd)),
                         fmt::format("look into the tracker's keeper {}", pid.value));
  State state;
  if (pread(keeper.state_.get(), &state, sizeof(state), 0) != sizeof(state) ||
      state.magic != kMagic || state.tracker > static_cast<uint32_t>(TrackerChoice::kNone))
    return std::nullopt;
  state.checkpoint_id.back() = '\0';
  keeper.info_.target = HostPid(state.target_pid);
  keeper.info_.target_start_time_ticks = state.target_start_time_ticks;
  keeper.info_.tracker = static_cast<TrackerChoice>(state.tracker);
  keeper.info_.checkpoint_id = state.checkpoint_id.data();
  if (auto fd = handle->get_fd(RemoteFd(kUserfaultFd))) keeper.userfaultfd_ = std::move(*fd);
  return keeper;
}

Result<std::optional<TrackerKeeper>> TrackerKeeper::find(const TaskHandle& target, HostPid hint) {
  const auto fits = [&](const std::optional<TrackerKeeper>& keeper) {
    return keeper && keeper->info_.target == target.pid() &&
           keeper->info_.target_start_time_ticks == target.start_time_ticks();
  };
  if (hint.value > 0) {
    auto keeper = TRY(open(hint));
    if (fits(keeper)) return keeper;
  }
  const ProcDir proc = TRY(ProcDir::open("/proc"));
  for (const int pid : TRY(proc.list_numbers("."))) {
    const auto comm = proc.read(fmt::format("{}/comm", pid));
    if (!comm || *comm != std::string(kKeeperName) + "\n") continue;
    auto keeper = TRY(open(HostPid(pid)));
    if (fits(keeper)) return keeper;
  }
  return std::nullopt;
}

Result<std::vector<KeeperInfo>> TrackerKeeper::list() {
  const ProcDir proc = TRY(ProcDir::open("/proc"));
  std::vector<KeeperInfo> keepers;
  for (const int pid : TRY(proc.list_numbers("."))) {
    const auto comm = proc.read(fmt::format("{}/comm", pid));
    if (!comm || *comm != std::string(kKeeperName) + "\n") continue;
    if (const auto keeper = TRY(open(HostPid(pid)))) keepers.push_back(keeper->info_);
  }
  return keepers;
}

Result<void> TrackerKeeper::set_checkpoint(const std::string& checkpoint_id) {
  info_.checkpoint_id = checkpoint_id;
  return write_state(state_.get(), info_);
}

Result<void> TrackerKeeper::end(const KeeperInfo& keeper) {
  auto known = TRY(open(keeper.pid));
  if (!known || known->info_.start_time_ticks != keeper.start_time_ticks) return {};
  return known->end();
}

Result<void> TrackerKeeper::end() {
  userfaultfd_.reset();
  auto killed = kernel::pidfd_send_signal(pidfd_.get(), SIGKILL);
  if (!killed && killed.error().kind() == ErrorKind::kTargetGone) return {};
  if (!killed) return killed;
  // Only when it is gone are its descriptors closed.
  pollfd gone = {pidfd_.get(), POLLIN, 0};
  constexpr int kTimeoutMs = 5000;
  if (poll(&gone, 1, kTimeoutMs) != 1)
    return fail(ErrorKind::kFailed,
                fmt::format("the tracker's keeper {} does not end", info_.pid.value));
  return {};
}

}  // namespace cryostat::memory
