// Two seccomp filters, on top of each other, that make harmless system calls fail with numbers of
// their own; one more in a thread. Only what the victim needs stays allowed.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>

#include "tests/victims/victim.h"

namespace {

// Makes one system call fail with `error`.
bool forbid(long number, int error, unsigned flags) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(code), code};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0;
}

int error_of(long number) {
  errno = 0;
  syscall(number, 0, 0, 0, 0, 0, 0);
  return errno;
}

std::atomic<bool> stop{false}, started{false};
int thread_errors[3];

void* body(void*) {
  if (!forbid(SYS_acct, 103, 0)) return nullptr;
  started = true;
  while (!stop) victim::Victim::pause_ms(1);
  thread_errors[0] = error_of(SYS_sethostname);
  thread_errors[1] = error_of(SYS_setdomainname);
  thread_errors[2] = error_of(SYS_acct);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  self.must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  self.must(forbid(SYS_sethostname, 101, 0), "seccomp");
  self.must(forbid(SYS_setdomainname, 102, SECCOMP_FILTER_FLAG_SPEC_ALLOW), "seccomp");
  pthread_t thread;
  self.must(pthread_create(&thread, nullptr, body, nullptr) == 0, "thread");
  while (!started) victim::Victim::pause_ms(1);
  self.ready_and_wait();
  stop = true;
  pthread_join(thread, nullptr);
  self.expect_equal("first filter", 101, error_of(SYS_sethostname));
  self.expect_equal("second filter", 102, error_of(SYS_setdomainname));
  self.expect(error_of(SYS_acct) != 103, "the thread's filter spread");
  self.expect_equal("first filter in the thread", 101, thread_errors[0]);
  self.expect_equal("second filter in the thread", 102, thread_errors[1]);
  self.expect_equal("the thread's own filter", 103, thread_errors[2]);
  self.expect_equal("mode", SECCOMP_MODE_FILTER, prctl(PR_GET_SECCOMP));
  return self.finish();
}
