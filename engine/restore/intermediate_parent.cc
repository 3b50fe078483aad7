#include "engine/restore/intermediate_parent.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace cryostat::restore {
namespace {

[[noreturn]] void be_parent(int channel, const clone_args& args,
                            const std::function<void()>& child_main) {
  clone_args own = args;
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
                                                     int& error) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return fail_errno("create a socket pair for the intermediate parent");
  }
  UniqueFd own_end(fds[0]);
  UniqueFd its_end(fds[1]);
  const pid_t pid = fork();
  if (pid < 0) return fail_errno("fork the intermediate parent");
  if (pid == 0) {
    // No copy of our end may be left in it or in the task, or it would never see the end.
    own_end.reset();
    be_parent(its_end.get(), args, child_main);
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
