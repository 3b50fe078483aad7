#include "engine/files/brief_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <fstream>

namespace cryostat::files {

namespace {

// In the child: waits for a status and ends with it.
[[noreturn]] void wait_and_end(int orders) {
  int status = 0;
  if (read(orders, &status, sizeof status) != sizeof status) _exit(0);
  if (WIFSIGNALED(status)) {
    sigset_t none;
    sigemptyset(&none);
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, nullptr);
    (void)kill(getpid(), WTERMSIG(status));
  }
  _exit(WEXITSTATUS(status));
}

// -1 and errno; 0 in the child. No signal is sent to the parent: it would be the target's.
pid_t clone_child(pid_t wanted) {
  struct clone_args args = {};
  args.set_tid = reinterpret_cast<uint64_t>(&wanted);
  args.set_tid_size = wanted == 0 ? 0 : 1;
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
}

}  // namespace

// The highest numbers: threads of the target that do not exist yet had lower ones.
pid_t fork_out_of_the_way() {
  int pid_max = 0;
  std::ifstream("/proc/sys/kernel/pid_max") >> pid_max;
  for (int attempt = 1; attempt <= 64; ++attempt) {
    const pid_t pid = clone_child(pid_max - attempt);
    if (pid >= 0 || errno != EEXIST) return pid;
  }
  return -1;
}

Result<BriefProcess> BriefProcess::create(pid_t pid) {
  int pair[2];
  if (pipe2(pair, O_CLOEXEC) != 0) return fail_errno("create a pipe");
  const UniqueFd read_end(pair[0]);
  UniqueFd write_end(pair[1]);
  const pid_t made = pid == 0 ? fork_out_of_the_way() : clone_child(pid);
  if (made < 0 && errno == EEXIST)
    return fail(ErrorKind::kMachine, fmt::format("pid {} is taken", pid));
  if (made < 0) return fail_errno("create a process to refer to");
  if (made == 0) {
    write_end.reset();
    wait_and_end(read_end.get());
  }
  return BriefProcess(made, std::move(write_end));
}

Result<void> BriefProcess::end(int status) {
  if (!orders_) return {};
  if (write(orders_.get(), &status, sizeof status) != sizeof status)
    return fail_errno("end a process");
  orders_.reset();
  siginfo_t info;
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT | __WALL) != 0)
    return fail_errno(fmt::format("wait for process {}", pid_));
  return {};
}

BriefProcess::~BriefProcess() {
  if (pid_ == 0) return;
  if (orders_) (void)kill(pid_, SIGKILL);
  (void)waitpid(pid_, nullptr, __WALL);
}

Result<UniqueFd> open_pidfd(pid_t pid, unsigned flags) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, flags)));
  if (!fd) return fail_errno(fmt::format("open a pidfd of process {}", pid));
  return fd;
}

}  // namespace cryostat::files
