// What a parent can still collect of its children's stops and continuations, and what it has
// collected already and must not be told again.
#include <pthread.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/victims/victim.h"

namespace {

int g_child_signals;
void on_child(int) { ++g_child_signals; }

void* idle(void*) {
  for (;;) pause();
}

pid_t start(bool threads) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  pthread_t thread;
  for (int i = 0; threads && i < 3; ++i) pthread_create(&thread, nullptr, idle, nullptr);
  raise(SIGSTOP);
  for (;;) pause();
}

// What the parent could collect; nothing is.
int pending(pid_t child) {
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(child), &info, WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT);
  return info.si_pid == 0 ? 0 : info.si_code;
}

void wait_for_report(pid_t child, int code) {
  while (pending(child) != code) victim::Victim::pause_ms(1);
}

void collect(pid_t child) {
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(child), &info, WSTOPPED | WCONTINUED);
}

// The continued child has told its parent by the time it sleeps again.
void await_sleep(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  for (char state = 0; state != 'S'; victim::Victim::pause_ms(1)) {
    FILE* const file = fopen(path.c_str(), "re");
    if (file == nullptr || fscanf(file, "%*d %*s %c", &state) != 1) _exit(3);
    fclose(file);
  }
}

struct Child {
  pid_t pid;
  int report;  // CLD_*, 0: nothing to collect
  bool stopped;
};

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  struct sigaction action {};
  action.sa_handler = on_child;
  sigaction(SIGCHLD, &action, nullptr);
  Child children[8];
  size_t count = 0;
  for (const bool threads : {false, true}) {
    const pid_t untold = start(threads);
    wait_for_report(untold, CLD_STOPPED);
    children[count++] = {untold, CLD_STOPPED, true};

    const pid_t told = start(threads);
    collect(told);
    children[count++] = {told, 0, true};

    const pid_t continued = start(threads);
    collect(continued);
    kill(continued, SIGCONT);
    wait_for_report(continued, CLD_CONTINUED);
    await_sleep(continued);
    children[count++] = {continued, CLD_CONTINUED, false};

    const pid_t continued_told = start(threads);
    collect(continued_told);
    kill(continued_told, SIGCONT);
    collect(continued_told);
    await_sleep(continued_told);
    children[count++] = {continued_told, 0, false};
  }
  const int signals = g_child_signals;

  self.ready_and_wait();

  self.expect_equal("SIGCHLDs", signals, g_child_signals);
  for (const Child& child : children) {
    const size_t number = static_cast<size_t>(&child - children);
    self.expect(pending(child.pid) == child.report, "child %zu: report %d, was %d", number,
                pending(child.pid), child.report);
    // Whatever there was: a new stop is told.
    if (child.report != 0) collect(child.pid);
    if (child.stopped) {
      kill(child.pid, SIGCONT);
      wait_for_report(child.pid, CLD_CONTINUED);
    }
    kill(child.pid, SIGSTOP);
    wait_for_report(child.pid, CLD_STOPPED);
    kill(child.pid, SIGKILL);
    int status = 0;
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    self.expect(WIFSIGNALED(status), "child %zu: end %#x", number, static_cast<unsigned>(status));
  }
  return self.finish();
}
