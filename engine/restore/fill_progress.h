// Tells how far the restorer blob has come with filling memory: looks at its plan from outside.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "engine/base/ids.h"
#include "engine/base/progress.h"

namespace cryostat::restore {

class FillProgress {
 public:
  // `plan`: address of the wire::RestorerPlan in `pid`, whose page data is `total_bytes` long.
  // Starts a thread when that is enough to take a while. `progress` outlives it.
  FillProgress(HostPid pid, RemoteAddr plan, uint64_t total_bytes, Progress& progress);
  FillProgress(const FillProgress&) = delete;
  FillProgress& operator=(const FillProgress&) = delete;
  ~FillProgress();

 private:
  void watch();
  void report(uint64_t bytes);

  HostPid pid_;
  RemoteAddr plan_;
  uint64_t total_bytes_;
  uint64_t reported_bytes_ = 0;
  Progress& progress_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace cryostat::restore
