// Signal state: handlers with flags and masks, thread masks, alternate stacks, ignored signals,
// pending signals with their siginfo, real-time queues in order, shared and per thread.
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include <atomic>
#include <vector>

#include "tests/victims/victim.h"

namespace {

std::atomic<int> handled{0};
std::atomic<bool> on_alternate{false};
std::atomic<int> quick_value{0};
char* alternate = nullptr;
constexpr int kRestorer = 0x04000000;  // SA_RESTORER, added by the C library
constexpr size_t kAlternateBytes = 64 << 10;

void handler(int, siginfo_t* info, void*) {
  char here;
  on_alternate = &here >= alternate && &here < alternate + kAlternateBytes;
  quick_value = info->si_value.sival_int;
  ++handled;
}
void plain_handler(int) {}

struct Queued {
  int signal, value;
};

void queue_to_process(int number, int value) {
  sigval payload;
  payload.sival_int = value;
  sigqueue(getpid(), number, payload);
}

void queue_to_thread(pid_t tid, int number, int value) {
  siginfo_t info{};
  info.si_signo = number;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_int = value;
  syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, number, &info);
}

// Takes what is pending for the calling thread, in the kernel's order.
std::vector<Queued> drain(const sigset_t& set) {
  std::vector<Queued> found;
  siginfo_t info;
  const timespec none{};
  for (int number; (number = sigtimedwait(&set, &info, &none)) > 0;)
    found.push_back({number, info.si_code == SI_QUEUE ? info.si_value.sival_int : -info.si_code});
  return found;
}

void compare(victim::Victim& self, const char* what, const std::vector<Queued>& expected,
             const std::vector<Queued>& found) {
  self.expect(expected.size() == found.size(), "%s: %zu signals pending, were %zu", what,
              found.size(), expected.size());
  for (size_t i = 0; i < expected.size() && i < found.size(); ++i)
    self.expect(expected[i].signal == found[i].signal && expected[i].value == found[i].value,
                "%s: place %zu holds signal %d value %d, was %d value %d", what, i, found[i].signal,
                found[i].value, expected[i].signal, expected[i].value);
}

std::atomic<pid_t> thread_tid{0};
std::atomic<bool> thread_go{false};
std::vector<Queued> thread_found;
sigset_t thread_mask_after;
stack_t thread_stack_after;

void* thread_body(void* argument) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGRTMIN + 4);
  pthread_sigmask(SIG_BLOCK, &mask, nullptr);
  stack_t stack{argument, 0, kAlternateBytes};
  sigaltstack(&stack, nullptr);
  thread_tid = static_cast<pid_t>(syscall(SYS_gettid));
  while (!thread_go) victim::Victim::pause_ms(1);
  pthread_sigmask(SIG_SETMASK, nullptr, &thread_mask_after);
  sigaltstack(nullptr, &thread_stack_after);
  sigemptyset(&mask);
  sigaddset(&mask, SIGRTMIN + 3);
  thread_found = drain(mask);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  alternate = new char[kAlternateBytes];
  stack_t stack{alternate, 0, kAlternateBytes};
  self.must(sigaltstack(&stack, nullptr) == 0, "sigaltstack");

  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER;
  sigaddset(&action.sa_mask, SIGUSR2);
  sigaddset(&action.sa_mask, SIGRTMAX);
  sigaction(SIGRTMIN + 5, &action, nullptr);
  struct sigaction once {};
  once.sa_handler = plain_handler;
  once.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NOCLDSTOP;
  sigaction(SIGHUP, &once, nullptr);
  signal(SIGQUIT, SIG_IGN);
  signal(SIGCHLD, SIG_IGN);

  sigset_t blocked;
  sigemptyset(&blocked);
  for (int number : {SIGUSR1, SIGTERM, SIGWINCH, SIGRTMIN + 1, SIGRTMIN + 2, SIGRTMIN + 3})
    sigaddset(&blocked, number);
  sigprocmask(SIG_SETMASK, &blocked, nullptr);

  char* thread_stack = new char[kAlternateBytes];
  pthread_t thread;
  self.must(pthread_create(&thread, nullptr, thread_body, thread_stack) == 0, "thread");
  while (thread_tid == 0) victim::Victim::pause_ms(1);

  // Shared queue: order within a real-time signal must survive; a standard signal is queued once.
  for (int i = 0; i < 5; ++i) queue_to_process(SIGRTMIN + 1, 100 + i);
  queue_to_process(SIGRTMIN + 2, 7);
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGUSR1);
  // Private queues.
  queue_to_thread(getpid(), SIGTERM, 55);
  for (int i = 0; i < 3; ++i) queue_to_thread(thread_tid, SIGRTMIN + 3, 200 + i);

  self.ready_and_wait();

  sigset_t now;
  sigprocmask(SIG_SETMASK, nullptr, &now);
  for (int number = 1; number <= SIGRTMAX; ++number)
    self.expect(sigismember(&now, number) == sigismember(&blocked, number),
                "mask of signal %d changed", number);
  compare(self, "leader", {{SIGTERM, 55}}, [&] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    return drain(set);
  }());
  sigset_t rest;
  sigemptyset(&rest);
  for (int number : {SIGUSR1, SIGRTMIN + 1, SIGRTMIN + 2}) sigaddset(&rest, number);
  compare(self, "process",
          {{SIGUSR1, -SI_USER},
           {SIGRTMIN + 1, 100},
           {SIGRTMIN + 1, 101},
           {SIGRTMIN + 1, 102},
           {SIGRTMIN + 1, 103},
           {SIGRTMIN + 1, 104},
           {SIGRTMIN + 2, 7}},
          drain(rest));

  thread_go = true;
  pthread_join(thread, nullptr);
  compare(self, "thread", {{SIGRTMIN + 3, 200}, {SIGRTMIN + 3, 201}, {SIGRTMIN + 3, 202}},
          thread_found);
  self.expect(sigismember(&thread_mask_after, SIGRTMIN + 4) == 1 &&
                  sigismember(&thread_mask_after, SIGHUP) == 0,
              "the thread's mask changed");
  self.expect(
      thread_stack_after.ss_sp == thread_stack && thread_stack_after.ss_size == kAlternateBytes,
      "the thread's alternate stack changed");

  struct sigaction found {};
  sigaction(SIGRTMIN + 5, nullptr, &found);
  self.expect(found.sa_sigaction == handler, "handler changed");
  self.expect_equal("flags", action.sa_flags, found.sa_flags & ~kRestorer);
  self.expect(sigismember(&found.sa_mask, SIGUSR2) && sigismember(&found.sa_mask, SIGRTMAX) &&
                  !sigismember(&found.sa_mask, SIGUSR1),
              "handler mask changed");
  sigaction(SIGHUP, nullptr, &found);
  self.expect_equal("flags of SIGHUP", once.sa_flags, found.sa_flags & ~kRestorer);
  sigaction(SIGQUIT, nullptr, &found);
  self.expect(found.sa_handler == SIG_IGN, "SIGQUIT is no longer ignored");
  queue_to_process(SIGRTMIN + 5, 31);
  self.expect(handled == 1 && quick_value == 31, "the handler did not run");
  self.expect(on_alternate, "the handler did not run on the alternate stack");
  return self.finish();
}
