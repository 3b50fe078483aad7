#include "engine/base/watchdog.h"

#include <signal.h>

#include <system_error>

namespace cryostat {

Watchdog::Watchdog(const Deadline& deadline, std::function<void()> bite) {
  // Signals are for the thread that is watched.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this, left = deadline.left(), bite = std::move(bite)] {
      std::unique_lock lock(mutex_);
      if (!called_off_.wait_for(lock, left, [this] { return over_; })) bite();
    });
  } catch (const std::system_error&) {
    // Nobody watches: no worse than a deadline that is looked at afterwards.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watchdog::~Watchdog() {
  {
    const std::scoped_lock lock(mutex_);
    over_ = true;
  }
  called_off_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace cryostat
