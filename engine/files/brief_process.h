// A process that lives only to be referred to: what is left of one that was gone at the dump.
#pragma once

#include <sys/types.h>

#include <utility>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::files {

class BriefProcess {
 public:
  // A child of the caller that waits for its end. `pid`: the number it must have; 0: any that the
  // target's threads won't want. It sends no signal when it ends. kMachine when the number is
  // taken.
  static Result<BriefProcess> create(pid_t pid);
  BriefProcess(BriefProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)), orders_(std::move(other.orders_)) {}
  BriefProcess& operator=(BriefProcess&&) = delete;
  // Kills it if end() was not called, and reaps it.
  ~BriefProcess();

  pid_t pid() const { return pid_; }
  // Lets it end with this wait status (wait(2)), but for the core dump flag; it stays a zombie.
  // Further calls do nothing.
  Result<void> end(int status);

 private:
  BriefProcess(pid_t pid, UniqueFd orders) : pid_(pid), orders_(std::move(orders)) {}
  pid_t pid_;
  UniqueFd orders_;
};

// fork(2) whose child has a number that the target's threads won't want and sends no signal when it
// ends (wait for it with __WALL). Plain clone3(2): no handlers of libc are run. -1 with errno.
pid_t fork_out_of_the_way();

// pidfd_open(2); close-on-exec.
Result<UniqueFd> open_pidfd(pid_t pid, unsigned flags);

}  // namespace cryostat::files
