#include "engine/base/log.h"

#include <unistd.h>

#include <chrono>

namespace cryostat::log {

namespace {
struct Sink {
  int fd = STDERR_FILENO;
  Level level = Level::kWarning;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};
Sink sink;

std::string_view label(Level level) {
  switch (level) {
    case Level::kWarning:
      return "warning: ";
    case Level::kDebug:
      return "debug: ";
    case Level::kTrace:
      return "trace: ";
    default:
      return "";
  }
}
}  // namespace

void configure(int fd, Level level) {
  sink.fd = fd;
  sink.level = level;
}

bool enabled(Level level) { return static_cast<int>(level) <= static_cast<int>(sink.level); }

void write(Level level, std::string_view line) {
  const auto elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - sink.start);
  const std::string text = fmt::format("({:09.6f}) {}{}\n", elapsed.count(), label(level), line);
  // A log that can't be written must not fail the work it describes.
  [[maybe_unused]] const ssize_t ignored = ::write(sink.fd, text.data(), text.size());
}

}  // namespace cryostat::log
