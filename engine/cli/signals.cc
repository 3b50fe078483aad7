#include "engine/cli/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

namespace cryostat::cli {

namespace {
// Handlers can't be given an argument; written once before they are installed.
StopRequest* stop_target = nullptr;

void on_stop_signal(int number, siginfo_t* info, void*) {
  stop_target->set(info->si_code == SI_QUEUE && info->si_value.sival_int != 0
                       ? info->si_value.sival_int
                       : number);
}
}  // namespace

void settle_process() {
  // A tool started with a closed standard descriptor must not get an image file under that number.
  // What it writes there is lost, and known to be: write(2) fails as if it were closed.
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDONLY);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);

  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // With SIGCHLD ignored, waitpid(2) reports no exit status of children.
  ::signal(SIGCHLD, SIG_DFL);
  // A write past RLIMIT_FSIZE is an error (EFBIG) that is told, not the end without a word.
  ::signal(SIGXFSZ, SIG_IGN);
}

void install_stop_handlers(StopRequest* stop) {
  stop_target = stop;
  struct sigaction action {};
  action.sa_sigaction = on_stop_signal;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    struct sigaction old {};
    if (sigaction(number, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    sigaction(number, &action, nullptr);
  }
  ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace cryostat::cli
