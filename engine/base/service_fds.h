// Descriptors the engine needs in a process whose descriptor numbers belong to someone else: kept
// at numbers the restored task does not use, and closed by the restorer when all is done.
#pragma once

#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat {

class ServiceFds {
 public:
  // `target_numbers`: every descriptor number the restored task will have. Raises the soft
  // RLIMIT_NOFILE of this process to its hard limit when the numbers need it; service numbers are
  // the smallest ones above the target's highest (a descriptor table never shrinks again), or gaps
  // below the limit. kMachine when a target number is not below the hard limit.
  static Result<ServiceFds> create(std::vector<int> target_numbers);

  // Moves `fd` to a service number (close-on-exec) and returns the number; it stays open until
  // drop() or until the restorer closes it.
  Result<int> adopt(UniqueFd fd);
  // The same with a duplicate of `fd`, which stays open (until close_others()).
  Result<int> adopt_copy(int fd);
  // Closes a service descriptor early.
  void drop(int fd);

  // Numbers that somebody else with the same descriptor table keeps: not ours to close.
  void spare(const std::vector<int>& numbers);

  bool is_service(int fd) const;
  bool is_target(int fd) const;
  // Open service numbers, ascending.
  const std::vector<int>& numbers() const { return numbers_; }

  // Closes every descriptor of this process that is neither a service nor a target number.
  Result<void> close_others() const;
  // Closes every descriptor that is not a service number: to be done before the target's
  // descriptors are restored, so that every number is free for them.
  Result<void> close_all_but_service() const;

 private:
  ServiceFds(std::vector<int> target_numbers, int limit)
      : target_numbers_(std::move(target_numbers)), limit_(limit) {}
  Result<int> number_below(int fd) const;
  std::vector<int> target_numbers_;  // ascending
  std::vector<int> numbers_;         // ascending
  std::vector<int> spared_;          // ascending
  int limit_;                        // numbers are below this
};

}  // namespace cryostat
