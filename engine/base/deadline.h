// A point in time by which a wait must end, and the request to stop early.
#pragma once

#include <atomic>
#include <chrono>

#include "engine/base/error.h"

namespace cryostat {

class Deadline {
 public:
  static Deadline in(std::chrono::nanoseconds timeout) { return Deadline(Clock::now() + timeout); }
  bool expired() const { return Clock::now() >= at_; }
  // Never negative.
  std::chrono::nanoseconds left() const {
    const auto left = at_ - Clock::now();
    return left.count() > 0 ? left : std::chrono::nanoseconds(0);
  }

 private:
  using Clock = std::chrono::steady_clock;
  explicit Deadline(Clock::time_point at) : at_(at) {}
  Clock::time_point at_;
};

// Signals to a tool (and the death of its front process) become a stop request that is looked at
// between stages and in long loops. Safe to set from a signal handler.
class StopRequest {
 public:
  void set(int signal_number) { signal_.store(signal_number, std::memory_order_relaxed); }
  // 0 while nothing was asked; -1 when the front process died.
  int signal_number() const { return signal_.load(std::memory_order_relaxed); }
  bool requested() const { return signal_number() != 0; }
  // kFailed "interrupted by SIGINT" once requested.
  Result<void> check() const;

 private:
  std::atomic<int> signal_{0};
};

}  // namespace cryostat
