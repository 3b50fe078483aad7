// Page checksums are verified beside the filling of memory, on another core; the restored task is not
// released before they all hold.
#pragma once

#include <atomic>
#include <optional>
#include <thread>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/progress.h"

namespace cryostat::image {
class CheckpointReader;
}

namespace cryostat::restore {

class PageVerifier {
 public:
  // Starts verifying every page of `reader`, on a thread of its own when there are many. Start it after
  // the fork of the task: a fork must not copy a thread's locks. `reader` and `progress` outlive it.
  PageVerifier(const image::CheckpointReader& reader, Progress& progress);
  PageVerifier(const PageVerifier&) = delete;
  PageVerifier& operator=(const PageVerifier&) = delete;
  // Gives up early when join() was not called.
  ~PageVerifier();

  // Waits for the verdict: kImages with the first damaged page. Looks at `stop`.
  Result<void> join(const StopRequest& stop);

 private:
  void verify();

  const image::CheckpointReader& reader_;
  Progress& progress_;
  StopRequest give_up_;
  Result<void> verdict_;
  std::atomic<bool> finished_{false};
  std::thread thread_;
};

}  // namespace cryostat::restore
