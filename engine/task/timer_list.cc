#include "engine/task/timer_list.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "engine/procfs/task_handle.h"

namespace cryostat::task {

namespace {

std::string_view next_line(std::string_view& text) {
  const size_t length = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, length);
  text.remove_prefix(std::min(length + 1, text.size()));
  return line;
}

// "<00000000830f191c>" in " #3: <00000000830f191c>, hrtimer_wakeup, S:01"; empty for other lines.
std::string_view waking_timer(std::string_view line) {
  if (!line.starts_with(" #") || line.find(">, hrtimer_wakeup,") == std::string_view::npos)
    return {};
  const size_t start = line.find('<');
  return start == std::string_view::npos ? std::string_view{}
                                         : line.substr(start, line.find('>') - start + 1);
}

// " # expires at 3957388569670-3957488569670 nsecs [in …]": the end, and the end with the slack.
std::optional<std::pair<int64_t, int64_t>> expiry(std::string_view line) {
  constexpr std::string_view kPrefix = " # expires at ";
  if (!line.starts_with(kPrefix)) return std::nullopt;
  line.remove_prefix(kPrefix.size());
  int64_t soft = 0;
  int64_t hard = 0;
  const char* const end = line.data() + line.size();
  const auto [dash, error] = std::from_chars(line.data(), end, soft);
  if (error != std::errc() || dash == end || *dash != '-' ||
      std::from_chars(dash + 1, end, hard).ec != std::errc() || hard < soft)
    return std::nullopt;
  return std::pair(soft, hard);
}

}  // namespace

std::vector<SleepTimer> parse_timer_list(std::string_view text) {
  std::vector<SleepTimer> timers;
  bool monotonic = false;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (line.starts_with(" clock ")) monotonic = line == " clock 0:";
    const std::string_view id = waking_timer(line);
    if (!monotonic || id.empty()) continue;
    if (const auto end = expiry(next_line(text)))
      timers.push_back({std::string(id), end->first, end->second - end->first});
  }
  return timers;
}

std::vector<SleepTimer> read_timer_list() {
  const auto proc = ProcDir::open("/proc");
  if (!proc) return {};
  const auto text = proc->read("timer_list");
  return text ? parse_timer_list(*text) : std::vector<SleepTimer>{};
}

}  // namespace cryostat::task
