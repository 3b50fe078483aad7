#include "engine/cli/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace cryostat::cli {

namespace {
constexpr int kMaxPid = 1 << 22;
constexpr double kMaxSeconds = 24 * 60 * 60;
constexpr int kMaxVerbosity = 4;
constexpr uint32_t kMaxRestoreThreads = 256;

// The whole of `text` as a number, or false.
template <typename Number>
bool whole_number(std::string_view text, Number* number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *number);
  return error == std::errc() && stop == end;
}

Failure bad_value(std::string_view text, std::string_view expected) {
  return fail(ErrorKind::kUsage, fmt::format("'{}' is not {}", text, expected));
}
}  // namespace

Result<int> parse_pid(std::string_view text) {
  int pid = 0;
  if (!whole_number(text, &pid) || pid <= 0 || pid > kMaxPid)
    return bad_value(text, "a process id");
  return pid;
}

Result<uint64_t> parse_size(std::string_view text) {
  constexpr std::string_view kExpected = "a size (bytes, or with K, M or G)";
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return bad_value(text, kExpected);
  std::string_view unit(stop, static_cast<size_t>(end - stop));
  unsigned shift = 0;
  if (!unit.empty() && unit != "B") {
    const size_t power = std::string_view("KMGT").find(static_cast<char>(unit.front() & ~0x20));
    const std::string_view rest = unit.substr(1);
    if (power == std::string_view::npos || (!rest.empty() && rest != "B" && rest != "iB"))
      return bad_value(text, kExpected);
    shift = 10 * (static_cast<unsigned>(power) + 1);
  }
  if (shift != 0 && number > UINT64_MAX >> shift) return bad_value(text, kExpected);
  return number << shift;
}

Result<std::chrono::nanoseconds> parse_seconds(std::string_view text) {
  double seconds = 0;
  if (!whole_number(text, &seconds) || !(seconds > 0) || seconds > kMaxSeconds)
    return bad_value(text, "a number of seconds (more than 0, at most a day)");
  return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
}

Result<int> parse_verbosity(int base, const std::vector<std::string>& occurrences) {
  int level = base;
  for (const std::string& text : occurrences) {
    int number = 0;
    if (text.find_first_not_of('v') == std::string::npos) {
      level += 1 + static_cast<int>(std::min<size_t>(text.size(), kMaxVerbosity));
    } else if (whole_number(std::string_view(text), &number) && number >= 0 &&
               number <= kMaxVerbosity) {
      level = number;
    } else {
      return bad_value(text, "a verbosity (0 to 4)");
    }
  }
  return std::min(level, kMaxVerbosity);
}

Result<uint32_t> parse_restore_threads(std::string_view text) {
  if (text == "auto") return 0u;
  uint32_t count = 0;
  if (!whole_number(text, &count) || count == 0 || count > kMaxRestoreThreads)
    return bad_value(text, fmt::format("auto or a number from 1 to {}", kMaxRestoreThreads));
  return count;
}

}  // namespace cryostat::cli
