#include "engine/procfs/timers.h"

#include <fmt/format.h>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

namespace {

constexpr size_t kMaxTimers = size_t{1} << 20;

// "signal: 60/00007fff864805b0"
bool read_signal(TextCursor cursor, PosixTimerInfo& timer) {
  return cursor.next_number(timer.signal) && cursor.take('/') && cursor.number(timer.value, 16);
}

// "notify: signal/pid.2634" or "notify: none/tid.12"
bool read_notify(TextCursor cursor, PosixTimerInfo& timer) {
  cursor.skip_blanks();
  if (cursor.take("signal/")) {
    timer.notify = 0;
  } else if (cursor.take("none/")) {
    timer.notify = 1;
  } else if (cursor.take("thread/")) {
    timer.notify = 2;
  } else {
    return false;
  }
  timer.to_thread = cursor.take("tid.");
  return (timer.to_thread || cursor.take("pid.")) && cursor.number(timer.notify_id);
}

}  // namespace

Result<std::vector<PosixTimerInfo>> parse_timers(std::string_view text) {
  std::vector<PosixTimerInfo> timers;
  TextCursor lines(text);
  while (!lines.at_end()) {
    const std::string_view line = lines.line();
    const size_t colon = line.find(':');
    bool good = colon != std::string_view::npos;
    if (good) {
      const std::string_view key = line.substr(0, colon);
      TextCursor cursor(line.substr(colon + 1));
      if (key == "ID") {
        good = timers.size() < kMaxTimers && cursor.next_number(timers.emplace_back().id);
      } else if (timers.empty()) {
        good = false;
      } else if (key == "signal") {
        good = read_signal(cursor, timers.back());
      } else if (key == "notify") {
        good = read_notify(cursor, timers.back());
      } else if (key == "ClockID") {
        good = cursor.next_number(timers.back().clock_id);
      }
    }
    if (!good) {
      return fail(ErrorKind::kFailed, fmt::format("malformed timers line: \"{}\"", excerpt(line)));
    }
  }
  return timers;
}

}  // namespace cryostat::procfs
