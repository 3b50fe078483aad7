#include "engine/cli/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "engine/base/unique_fd.h"
#include "engine/cli/report.h"
#include "engine/cli/signals.h"

namespace cryostat::cli {

namespace {

// The worker outlives the front by an orderly rollback: it hears of the front's end as SIGIO from
// the death pipe, whose only writing end the front holds.
StopRequest worker_stop;

void on_front_gone(int) { worker_stop.set(-1); }

Result<void> watch_front(const UniqueFd& death_pipe) {
  struct sigaction action {};
  action.sa_handler = on_front_gone;
  sigemptyset(&action.sa_mask);
  sigaction(SIGIO, &action, nullptr);
  const int flags = fcntl(death_pipe.get(), F_GETFL);
  if (fcntl(death_pipe.get(), F_SETOWN, getpid()) < 0 ||
      fcntl(death_pipe.get(), F_SETFL, flags | O_ASYNC | O_NONBLOCK) < 0)
    return fail_errno("watch the front process");
  // It may have gone before the watch began: then the pipe is at its end already.
  char byte = 0;
  if (::read(death_pipe.get(), &byte, 1) == 0) worker_stop.set(-1);
  return {};
}

// Called with the stop signals blocked; `mask` is what to go back to once they are handled.
[[noreturn]] void be_worker(std::string_view tool, const UniqueFd& death_pipe, const sigset_t& mask,
                            const std::function<int(const StopRequest&)>& work) {
  // Away from the terminal's signals: Ctrl-C reaches the front, which passes it on in order.
  setsid();
  prctl(PR_SET_NAME, "cr-worker");
  // The front speaks to us with SIGTERM, whatever our caller ignores.
  ::signal(SIGTERM, SIG_DFL);
  install_stop_handlers(&worker_stop);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  int code = 0;
  if (const auto watched = watch_front(death_pipe); !watched) {
    std::fputs(error_text(tool, watched.error()).c_str(), stderr);
    code = exit_code(watched.error());
  } else {
    code = work(worker_stop);
  }
  std::fflush(nullptr);
  // No destructors of static objects: nothing is left for them to do, and engine threads may live.
  _exit(code);
}

// Set before the handler is installed; only the front's handler reads it.
volatile pid_t worker_pid = 0;

void forward_to_worker(int number) {
  const int saved_errno = errno;
  // The worker's session was ended by no terminal, so any stop signal does; the value tells which.
  sigqueue(worker_pid, SIGTERM, sigval{.sival_int = number});
  errno = saved_errno;
}

void forward_signals() {
  struct sigaction action {};
  action.sa_handler = forward_to_worker;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    struct sigaction old {};
    if (sigaction(number, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    sigaction(number, &action, nullptr);
  }
}

int front_failure(std::string_view tool, const std::string& what) {
  const Error error = Error::from_errno(errno, what).as(ErrorKind::kFailed);
  std::fputs(error_text(tool, error).c_str(), stderr);
  return exit_code(error);
}

int wait_for_worker(std::string_view tool, pid_t worker) {
  int status = 0;
  while (waitpid(worker, &status, 0) < 0) {
    if (errno != EINTR) return front_failure(tool, "wait for the worker");
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const Error error(
      ErrorKind::kFailed,
      fmt::format(
          "the worker (pid {}) was killed by SIG{}", worker,
          sigabbrev_np(WTERMSIG(status)) != nullptr ? sigabbrev_np(WTERMSIG(status)) : "?"));
  std::fputs(error_text(tool, error).c_str(), stderr);
  return exit_code(error);
}

}  // namespace

int run_in_worker(std::string_view tool, const std::function<int(const StopRequest&)>& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return front_failure(tool, "create the death pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);

  // A signal between fork and the handler must not end the front while the worker goes on unaware.
  sigset_t stops;
  sigset_t before;
  sigemptyset(&stops);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&stops, number);
  sigprocmask(SIG_BLOCK, &stops, &before);
  std::fflush(nullptr);
  const pid_t worker = fork();
  if (worker < 0) return front_failure(tool, "fork the worker");
  if (worker == 0) {
    write_end.reset();
    be_worker(tool, read_end, before, work);
  }
  worker_pid = worker;
  forward_signals();
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return wait_for_worker(tool, worker);
}

}  // namespace cryostat::cli
