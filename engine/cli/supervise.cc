#include "engine/cli/supervise.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

namespace cryostat::cli {

namespace {

constexpr int kSignalExitBase = 128;
// A shell gives the terminal to a running background job without telling it: while our job is in
// the background, we look this often.
constexpr timespec kLookInterval = {.tv_sec = 0, .tv_nsec = 200'000'000};

// Blocks the signals to wait for, and puts aside the handlers they had during the restore. A signal
// our caller had us ignore (nohup) stays ignored.
sigset_t watch_signals(bool with_stop) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGCONT, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) {
    struct sigaction old {};
    sigaction(number, nullptr, &old);
    if (old.sa_handler == SIG_IGN || (number == SIGTSTP && !with_stop)) continue;
    sigaddset(&set, number);
  }
  sigprocmask(SIG_BLOCK, &set, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    if (sigismember(&set, number) == 1) ::signal(number, SIG_DFL);
  }
  return set;
}

bool is_pending(int number) {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, number) == 1;
}

}  // namespace

Supervisor::Supervisor(bool job_control) : job_control_(job_control), own_group_(getpgrp()) {
  if (job_control_) terminal_ = Terminal::open();
}

void Supervisor::hand_over(pid_t job) {
  job_ = job;
  group_ = getpgid(job);
  if (group_ < 0) group_ = job;
  if (job_control_ && owns_group() && terminal_.in_front(own_group_)) terminal_.give_to(group_);
}

void Supervisor::give_up() {
  if (job_ != 0 && job_control_ && owns_group() && !terminal_.in_front(own_group_))
    terminal_.take_back(true);
}

int Supervisor::wait(const StopRequest& asked) {
  // A job in our own group stops and continues together with us, by the terminal's doing.
  const bool with_stop = job_control_ && owns_group();
  // Signals are taken one by one: the loop below is the only place that acts on them.
  const sigset_t watched = watch_signals(with_stop);
  if (asked.signal_number() > 0) on_signal(asked.signal_number(), false);

  for (;;) {
    bool ended = false;
    const int code = reap(&ended);
    if (ended) return code;
    const bool in_background = with_stop && terminal_.present() && !terminal_.in_front(group_);
    siginfo_t info{};
    const int number = sigtimedwait(&watched, &info, in_background ? &kLookInterval : nullptr);
    if (number > 0 && number != SIGCHLD) on_signal(number, info.si_code > 0);
    if (number < 0 && errno == EAGAIN) follow_terminal();
  }
}

int Supervisor::reap(bool* ended) {
  int status = 0;
  const int flags = WNOHANG | (job_control_ && owns_group() ? WUNTRACED : 0);
  for (;;) {
    const pid_t pid = waitpid(job_, &status, flags);
    if (pid < 0 && errno == EINTR) continue;
    if (pid == 0) return 0;
    if (pid < 0 || WIFEXITED(status) || WIFSIGNALED(status)) {
      *ended = true;
      // Reaped by someone else: there is no status to tell.
      return pid < 0 ? EXIT_FAILURE : finish(status);
    }
    if (WIFSTOPPED(status)) on_stopped(WSTOPSIG(status));
  }
}

int Supervisor::finish(int status) {
  // As shells do, clean up the modes after a job that had no chance to do so itself.
  if (job_control_ && owns_group() && terminal_.in_front(group_))
    terminal_.take_back(WIFSIGNALED(status));
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalExitBase + WTERMSIG(status);
}

void Supervisor::on_stopped(int stop_signal) {
  const bool wants_terminal = stop_signal == SIGTTIN || stop_signal == SIGTTOU;
  if (wants_terminal && (terminal_.in_front(own_group_) || terminal_.in_front(group_))) {
    // It only asked for what it is due: the shell brought us to the foreground.
    resume_job();
    return;
  }
  if (terminal_.in_front(group_)) terminal_.take_back(true);
  stop_like_the_job();
  // Continued (or, in an orphaned group, never stopped, as SIGTSTP is then discarded). An
  // orphaned job's SIGTSTP would have been discarded likewise; any other stop is the job's own
  // wish.
  if (is_pending(SIGCONT) || stop_signal == SIGTSTP) resume_job();
}

void Supervisor::stop_like_the_job() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  // Whoever waits for us in front of the shell (sudo, a script) is of our group and stops too.
  kill(0, SIGTSTP);
  sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // stopped here, until SIGCONT
  sigprocmask(SIG_BLOCK, &stop, nullptr);
}

void Supervisor::resume_job() {
  if (terminal_.in_front(own_group_)) terminal_.give_to(group_);
  kill(-group_, SIGCONT);
}

void Supervisor::follow_terminal() {
  if (terminal_.in_front(own_group_)) terminal_.give_to(group_);
}

void Supervisor::on_signal(int number, bool from_terminal) {
  if (number == SIGCONT) {
    if (job_control_ && owns_group()) resume_job();
    return;
  }
  // The terminal signals a whole group: ours has the job in it, or the job did not hear of it.
  if (from_terminal && !owns_group()) return;
  if (owns_group() && (from_terminal || number == SIGTSTP)) {
    kill(-group_, number);
  } else {
    kill(job_, number);
  }
}

}  // namespace cryostat::cli
