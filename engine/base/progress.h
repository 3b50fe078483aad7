// How far a long transfer has come: told by the engine, shown by the tool.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace cryostat {

// Where the engine reports bytes moved. Thread-safe; cheap enough to call once per batch (not per
// page). The base class shows nothing.
class Progress {
 public:
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  virtual ~Progress() = default;

  // More work became known.
  void add_total(uint64_t bytes) { total_.fetch_add(bytes, std::memory_order_relaxed); }
  // Work was done. May exceed the total when estimates were low.
  void advance(uint64_t bytes) {
    done_.fetch_add(bytes, std::memory_order_relaxed);
    show();
  }
  // Nothing more will be shown; takes a shown line off the screen. Call it before printing
  // anything.
  virtual void finish() {}

  uint64_t total_bytes() const { return total_.load(std::memory_order_relaxed); }
  uint64_t done_bytes() const { return done_.load(std::memory_order_relaxed); }

 private:
  virtual void show() {}

  std::atomic<uint64_t> total_{0};
  std::atomic<uint64_t> done_{0};
};

// One line on a terminal, rewritten in place: bytes, rate and time left. Appears half a second
// after the first byte was moved, then at most ten times a second. Shows nothing unless `fd` is a
// terminal.
class TerminalProgress final : public Progress {
 public:
  // `verb` is what is being done to memory: "dumping", "restoring". `fd` is not owned.
  TerminalProgress(int fd, std::string verb);
  ~TerminalProgress() override { finish(); }
  void finish() override;

 private:
  void show() override;

  int fd_;
  std::string verb_;
  bool terminal_;
  std::atomic<uint64_t> start_ns_{0};
  std::atomic<uint64_t> next_ns_{UINT64_MAX};
  std::atomic<bool> shown_{false};
};

// "dumping memory: 1.2 GiB of 4.0 GiB, 850.1 MiB/s, 3 s left". Pure, for tests; `elapsed_ns` > 0.
std::string progress_line(const std::string& verb, uint64_t done_bytes, uint64_t total_bytes,
                          uint64_t elapsed_ns);
// "17 bytes", "1.5 KiB", "2.0 GiB".
std::string human_bytes(uint64_t bytes);

}  // namespace cryostat
