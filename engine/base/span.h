// Spans: named stretches of time, nested, collected in memory; summed into the statistics and
// written as Chrome/Perfetto trace JSON on request.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat {

// One finished span. Times are CLOCK_MONOTONIC nanoseconds.
struct SpanRecord {
  std::string name;
  uint64_t start_ns;
  uint64_t duration_ns;
  uint32_t track;  // thread of the engine (0 is the main one)
  uint64_t bytes;  // payload moved in the span, 0 if none
};

// The collector; one per process. Thread-safe.
class SpanLog {
 public:
  static SpanLog& get();
  void add(SpanRecord record);
  std::vector<SpanRecord> records() const;
  // Sum of the durations of all spans called `name`.
  uint64_t total_ns(std::string_view name) const;
  void clear();
  // Trace Event Format ("X" events, microseconds), opens in Perfetto and chrome://tracing.
  std::string to_trace_json(std::string_view process_name) const;

 private:
  mutable std::mutex mutex_;
  std::vector<SpanRecord> records_;
};

// Records from construction to destruction (or end()).
class Span {
 public:
  explicit Span(std::string_view name);
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;
  ~Span() { end(); }
  void add_bytes(uint64_t bytes) { bytes_ += bytes; }
  void end();

 private:
  std::string name_;
  uint64_t start_ns_;
  uint64_t bytes_ = 0;
  bool open_ = true;
};

uint64_t monotonic_ns();

}  // namespace cryostat
