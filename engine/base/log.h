// The tools' log: levelled lines with a time stamp since start, written to one descriptor.
// Library code logs facts and warnings; errors are returned, and printed once by the tool.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace cryostat::log {

enum class Level : int { kOff = 0, kError = 0, kWarning = 1, kInfo = 2, kDebug = 3, kTrace = 4 };

// Lines go to `fd` (not owned, must stay open) when their level is <= `level`. Call before threads
// start. Default: stderr, kWarning.
void configure(int fd, Level level);
bool enabled(Level level);
void write(Level level, std::string_view line);

template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarning))
    write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug))
    write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void trace(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kTrace))
    write(Level::kTrace, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace cryostat::log
