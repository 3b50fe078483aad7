#include "engine/infect/foster_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <sstream>
#include <utility>
#include <vector>

#include "engine/base/log.h"
#include "engine/kernel/raw_syscall.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"

namespace cryostat {
namespace {

template <typename T>
uint64_t address_of(T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

// Everything up to the end of a child is plain system calls: other threads of the engine may hold
// locks of libc at the time of the fork.
[[noreturn]] void end_child(int status) {
  for (;;) raw_syscall(SYS_exit_group, static_cast<uint64_t>(status));
}

// The init: waits for the end of the engine, in two ways.
[[noreturn]] void run_init(int lifeline) {
  raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  raw_syscall(SYS_prctl, PR_SET_NAME, address_of("cr-foster"));
  // Its memory is that of the engine: not for the eyes of the namespace's owner.
  raw_syscall(SYS_prctl, PR_SET_DUMPABLE, 0);
  if (lifeline != 0) {
    raw_syscall(SYS_dup3, static_cast<uint64_t>(lifeline), 0, 0);
  }
  raw_syscall(SYS_close_range, 1, ~0u, 0);
  // The kernel reaps what is adopted.
  const struct { uint64_t handler, flags, restorer, mask; } ignore{1, 0, 0, 0};
  raw_syscall(SYS_rt_sigaction, SIGCHLD, address_of(&ignore), 0, sizeof(uint64_t));
  // Who ended before that is still there.
  while (raw_syscall(SYS_wait4, ~0ull, 0, WNOHANG | __WALL, 0) > 0) {
  }
  const uint64_t all = ~uint64_t{0};
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, address_of(&all), 0, sizeof(all));
  char byte;
  while (raw_syscall(SYS_read, 0, address_of(&byte), 1) == -EINTR) {
  }
  end_child(0);
}

long clone_init(uint64_t flags, int lifeline) {
  const long pid = raw_syscall(SYS_clone, flags, 0);
  if (pid == 0) run_init(lifeline);
  return pid;
}

// The effective uid changes, the effective capabilities stay.
bool become_owner(uid_t owner) {
  if (is_syscall_error(raw_syscall(SYS_setresuid, ~0ull, owner, ~0ull))) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (raw_syscall(SYS_capget, address_of(&header), address_of(data.data())) != 0) return false;
  for (auto& part : data) part.effective = part.permitted;
  return raw_syscall(SYS_capset, address_of(&header), address_of(data.data())) == 0;
}

// The owner of a user namespace is the effective uid that made it: a child takes on that uid and
// makes the init as a sibling of its own, hence as a child of the engine.
Result<long> clone_init_as(uid_t owner, uint64_t flags, int lifeline) {
  int channel[2];
  if (pipe2(channel, O_CLOEXEC) != 0) return fail_errno("create a pipe");
  const UniqueFd from_child(channel[0]);
  UniqueFd to_parent(channel[1]);
  const long helper = raw_syscall(SYS_clone, SIGCHLD, 0);
  if (helper == 0) {
    long pid = -EPERM;
    if (become_owner(owner)) pid = clone_init(flags | CLONE_PARENT, lifeline);
    raw_syscall(SYS_write, static_cast<uint64_t>(to_parent.get()), address_of(&pid), sizeof(pid));
    end_child(0);
  }
  if (is_syscall_error(helper)) return helper;
  to_parent.reset();
  long pid = -ECHILD;
  ssize_t got = 0;
  do {
    got = read(from_child.get(), &pid, sizeof(pid));
  } while (got < 0 && errno == EINTR);
  if (got != sizeof(pid)) pid = -ECHILD;
  while (waitpid(static_cast<pid_t>(helper), nullptr, 0) < 0 && errno == EINTR) {
  }
  return pid;
}

// Newest last.
Result<std::vector<int>> children_of(const ProcDir& proc, HostPid pid) {
  std::vector<int> children;
  const auto list = proc.read(fmt::format("{0}/task/{0}/children", pid.value));
  if (list.has_value()) {  // CONFIG_PROC_CHILDREN
    std::istringstream numbers(*list);
    for (int number = 0; numbers >> number;) children.push_back(number);
    return children;
  }
  for (const int number : TRY(proc.list_numbers("."))) {
    const auto text = proc.read(fmt::format("{}/stat", number));
    if (!text.has_value()) continue;  // it ended in the meantime
    const auto stat = procfs::parse_stat(*text);
    if (stat.has_value() && stat->ppid == pid.value) children.push_back(number);
  }
  return children;
}

}  // namespace

Result<FosterNamespace> FosterNamespace::create(uid_t owner) {
  int lifeline[2];
  if (pipe2(lifeline, O_CLOEXEC) != 0) return fail_errno("create a pipe");
  const UniqueFd theirs(lifeline[0]);
  UniqueFd ours(lifeline[1]);
  const auto clone = [&](uint64_t flags) -> Result<long> {
    if (owner == geteuid()) return clone_init(flags, theirs.get());
    return clone_init_as(owner, flags, theirs.get());
  };
  bool with_user_namespace = true;
  long pid = TRY(clone(CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD));
  if (is_syscall_error(pid)) {
    log::debug("no user namespace for uid {}: {}", owner, errno_name(static_cast<int>(-pid)));
    with_user_namespace = false;
    pid = clone_init(CLONE_NEWPID | SIGCHLD, theirs.get());
  }
  if (is_syscall_error(pid)) {
    return fail_errno(static_cast<int>(-pid), "create a pid namespace for memory copies");
  }
  FosterNamespace foster(owner, HostPid(static_cast<pid_t>(pid)), std::move(ours));
  TRY(foster.open_namespaces(with_user_namespace));
  return foster;
}

Result<void> FosterNamespace::open_namespaces(bool with_user_namespace) {
  const ProcDir proc = TRY(ProcDir::open(fmt::format("/proc/{}", init_.value)));
  pid_namespace_ = TRY(proc.open_file("ns/pid", O_RDONLY));
  if (with_user_namespace) user_namespace_ = TRY(proc.open_file("ns/user", O_RDONLY));
  return {};
}

FosterNamespace::FosterNamespace(FosterNamespace&& other) noexcept
    : owner_(other.owner_),
      init_(std::exchange(other.init_, HostPid(0))),
      lifeline_(std::move(other.lifeline_)),
      pid_namespace_(std::move(other.pid_namespace_)),
      user_namespace_(std::move(other.user_namespace_)) {}

FosterNamespace::~FosterNamespace() {
  if (init_.value == 0) return;
  // Our child, not waited for yet: the number is still its own.
  kill(init_.value, SIGKILL);
  while (waitpid(init_.value, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

Result<HostPid> FosterNamespace::find(pid_t inside) const {
  const ProcDir proc = TRY(ProcDir::open("/proc"));
  auto children = TRY(children_of(proc, init_));
  std::reverse(children.begin(), children.end());
  for (const int child : children) {
    const auto text = proc.read(fmt::format("{}/status", child));
    if (!text.has_value()) continue;
    const auto status = procfs::parse_status(*text);
    if (status.has_value() && !status->ns_pid.empty() && status->ns_pid.back() == inside) {
      return HostPid(child);
    }
  }
  return fail(ErrorKind::kTargetGone, fmt::format("the memory copy {} is gone", inside));
}

}  // namespace cryostat
