#include "engine/base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cmath>

#include "engine/base/span.h"

namespace cryostat {

namespace {
constexpr uint64_t kFirstShowNs = 500'000'000;
constexpr uint64_t kIntervalNs = 100'000'000;

void put(int fd, const std::string& text) {
  // A progress line that can't be written is not worth failing for.
  [[maybe_unused]] const ssize_t ignored = ::write(fd, text.data(), text.size());
}
}  // namespace

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string progress_line(const std::string& verb, uint64_t done_bytes, uint64_t total_bytes,
                          uint64_t elapsed_ns) {
  const double rate = static_cast<double>(done_bytes) * 1e9 / static_cast<double>(elapsed_ns);
  std::string line = fmt::format("{} memory: {}", verb, human_bytes(done_bytes));
  if (total_bytes >= done_bytes) line += " of " + human_bytes(total_bytes);
  line += fmt::format(", {}/s", human_bytes(static_cast<uint64_t>(rate)));
  if (total_bytes >= done_bytes && rate >= 1) {
    const double left = static_cast<double>(total_bytes - done_bytes) / rate;
    line += fmt::format(", {:.0f} s left", std::ceil(left));
  }
  return line;
}

TerminalProgress::TerminalProgress(int fd, std::string verb)
    : fd_(fd), verb_(std::move(verb)), terminal_(::isatty(fd) == 1) {}

void TerminalProgress::show() {
  if (!terminal_) return;
  const uint64_t now = monotonic_ns();
  uint64_t start = 0;
  // The clock starts with the first byte, so that the rate is that of the transfer.
  if (start_ns_.compare_exchange_strong(start, now)) {
    next_ns_.store(now + kFirstShowNs);
    return;
  }
  uint64_t next = next_ns_.load();
  // One of several threads wins the right to write this line.
  if (now < next || !next_ns_.compare_exchange_strong(next, now + kIntervalNs)) return;
  shown_.store(true);
  put(fd_, "\r" + progress_line(verb_, done_bytes(), total_bytes(), now - start) + "\x1b[K");
}

void TerminalProgress::finish() {
  terminal_ = false;
  if (shown_.exchange(false)) put(fd_, "\r\x1b[K");
}

}  // namespace cryostat
