#include "engine/restore/intermediate_parent.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "engine/restore/clone_with_pid.h"

namespace cryostat::restore {
namespace {

[[noreturn]] void be_parent(int channel, const clone_args& args,
                            const std::function<void()>& child_main, pid_t session) {
  clone_args own = args;
  if (session != 0) setsid();
  const long result = syscall(SYS_clone3, &own, sizeof(own));
  const int error = result < 0 ? errno : 0;
  if (result == 0) child_main();
  char nothing = 0;
  if (send(channel, &error, sizeof(error), MSG_NOSIGNAL) == sizeof(error)) {
    // Returns at the end of the other side, with a message or with its death.
    (void)!recv(channel, &nothing, sizeof(nothing), 0);
  }
  _exit(0);
}

}  // namespace

Result<IntermediateParent> IntermediateParent::start(const clone_args& args,
                                                     const std::function<void()>& child_main,
                                                     pid_t session, int& error) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return fail_errno("create a socket pair for the intermediate parent");
  }
  UniqueFd own_end(fds[0]);
  UniqueFd its_end(fds[1]);
  pid_t pid = 0;
  const int failed = TRY(clone_when_free(HostPid(session), [&]() -> Result<int> {
    clone_args parent_args = fork_args(&session, 0, SIGCHLD);
    if (session == 0) parent_args.set_tid_size = parent_args.set_tid = 0;
    pid = static_cast<pid_t>(syscall(SYS_clone3, &parent_args, sizeof(parent_args)));
    return pid < 0 ? errno : 0;
  }));
  if (failed != 0) return clone_failed(failed, HostPid(session));
  if (pid == 0) {
    // No copy of our end may be left in it or in the task, or it would never see the end.
    own_end.reset();
    be_parent(its_end.get(), args, child_main, session);
  }
  its_end.reset();
  IntermediateParent parent(pid, std::move(own_end));
  if (recv(parent.channel_.get(), &error, sizeof(error), 0) != sizeof(error)) {
    return fail(ErrorKind::kFailed, "the intermediate parent of the new task died");
  }
  return parent;
}

void IntermediateParent::end() {
  if (!channel_.valid()) return;
  channel_.reset();
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace cryostat::restore
