// Something to be done when a call that can't be interrupted takes too long.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "engine/base/deadline.h"

namespace cryostat {

// Guard: calls `bite` once, in a thread of its own, if it still lives at the deadline. `bite` must
// be safe to call beside what the guard is around.
class Watchdog {
 public:
  Watchdog(const Deadline& deadline, std::function<void()> bite);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

 private:
  std::mutex mutex_;
  std::condition_variable called_off_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace cryostat
