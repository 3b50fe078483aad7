#include "engine/procfs/fdinfo.h"

#include <fmt/format.h>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

namespace {

constexpr size_t kMaxLines = size_t{1} << 20;  // an epoll with a million watches

// "(seconds, nanoseconds)" into nanoseconds.
bool read_timespec(std::string_view text, uint64_t& ns) {
  TextCursor cursor(text);
  uint64_t seconds = 0;
  uint64_t rest_ns = 0;
  cursor.skip_blanks();
  if (!cursor.take('(') || !cursor.next_number(seconds) || !cursor.take(',') ||
      !cursor.next_number(rest_ns) || !cursor.take(')') || seconds > UINT64_MAX / 2'000'000'000) {
    return false;
  }
  ns = seconds * 1'000'000'000 + rest_ns;
  return true;
}

// "tfd:       8 events:       19 data:                8  pos:0 ino:61 sdev:8" (values are
// hexadecimal but the number and the position).
bool read_watch(std::string_view line, EpollWatchInfo& watch) {
  TextCursor cursor(line);
  if (!cursor.take("tfd:") || !cursor.next_number(watch.fd)) return false;
  cursor.skip_blanks();
  if (!cursor.take("events:") || !cursor.next_number(watch.events, 16)) return false;
  cursor.skip_blanks();
  if (!cursor.take("data:") || !cursor.next_number(watch.data, 16)) return false;
  cursor.skip_blanks();
  if (cursor.take("pos:")) cursor.next_number(watch.position);
  cursor.skip_blanks();
  if (cursor.take("ino:")) cursor.next_number(watch.inode, 16);
  cursor.skip_blanks();
  if (cursor.take("sdev:")) cursor.next_number(watch.device, 16);
  return true;
}

TimerFdInfo& timer_of(FdInfo& info) {
  if (!info.timerfd) info.timerfd.emplace();
  return *info.timerfd;
}

template <typename Int>
bool number_in(std::string_view value, Int& out, int base = 10) {
  TextCursor cursor(value);
  return cursor.next_number(out, base);
}

// False when a known line is malformed; sets `known` to whether the line was one.
bool read_line(std::string_view key, std::string_view value, std::string_view line, FdInfo& info,
               bool& known) {
  known = true;
  if (key == "pos") return number_in(value, info.position);
  if (key == "flags") return number_in(value, info.flags, 8);
  if (key == "mnt_id") return number_in(value, info.mount_id);
  if (key == "ino") return number_in(value, info.inode);
  if (key == "lock") {
    TextCursor cursor(value);
    cursor.skip_blanks();
    info.locks.emplace_back(cursor.rest());
    return true;
  }
  if (key == "eventfd-count") return number_in(value, info.eventfd_count.emplace(), 16);
  if (key == "eventfd-id") return number_in(value, info.eventfd_id);
  if (key == "eventfd-semaphore") {
    unsigned semaphore = 0;
    if (!number_in(value, semaphore)) return false;
    info.has_eventfd_semaphore = true;
    info.eventfd_semaphore = semaphore != 0;
    return true;
  }
  if (key == "sigmask") return number_in(value, info.signalfd_mask.emplace(), 16);
  if (key == "clockid") return number_in(value, timer_of(info).clock_id);
  if (key == "ticks") return number_in(value, timer_of(info).ticks);
  if (key == "settime flags") return number_in(value, timer_of(info).settime_flags, 8);
  if (key == "it_value") return read_timespec(value, timer_of(info).remaining_ns);
  if (key == "it_interval") return read_timespec(value, timer_of(info).interval_ns);
  if (key == "Pid") return number_in(value, info.pidfd_pid.emplace());
  if (key == "tfd") return read_watch(line, info.epoll_watches.emplace_back());
  known = false;
  return true;
}

}  // namespace

Result<FdInfo> parse_fdinfo(std::string_view text) {
  FdInfo info;
  TextCursor lines(text);
  for (size_t count = 0; !lines.at_end(); ++count) {
    const std::string_view line = lines.line();
    const size_t colon = line.find(':');
    bool known = false;
    if (count >= kMaxLines ||
        (colon != std::string_view::npos &&
         !read_line(line.substr(0, colon), line.substr(colon + 1), line, info, known))) {
      return fail(ErrorKind::kFailed, fmt::format("malformed fdinfo line: \"{}\"", excerpt(line)));
    }
    if (!known && !line.empty()) info.extra.emplace_back(line);
  }
  return info;
}

}  // namespace cryostat::procfs
