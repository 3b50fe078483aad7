#include "engine/procfs/stat.h"

#include <fmt/format.h>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

namespace {

Failure malformed(std::string_view text) {
  return fail(ErrorKind::kFailed, fmt::format("not a /proc stat line: \"{}\"", excerpt(text)));
}

// Fields by their number in proc_pid_stat(5); 4 is the first one after the state.
bool parse_numbers(TextCursor& cursor, Stat& stat) {
  uint64_t unused = 0;
  int64_t unused_signed = 0;
  const auto skip = [&](int count) {
    for (; count > 0; --count) {
      if (!cursor.next_number(unused) && !cursor.next_number(unused_signed)) return false;
    }
    return true;
  };
  int32_t tty = 0;
  bool good = cursor.next_number(stat.ppid) && cursor.next_number(stat.pgrp) &&
              cursor.next_number(stat.session) && cursor.next_number(tty) &&
              cursor.next_number(stat.tpgid) && cursor.next_number(stat.flags) && skip(4) &&
              cursor.next_number(stat.user_ticks) && cursor.next_number(stat.system_ticks) &&
              cursor.next_number(stat.children_user_ticks) &&
              cursor.next_number(stat.children_system_ticks) && cursor.next_number(stat.priority) &&
              cursor.next_number(stat.nice) && cursor.next_number(stat.thread_count) && skip(1) &&
              cursor.next_number(stat.start_time_ticks) && cursor.next_number(stat.vsize_bytes) &&
              cursor.next_number(stat.rss_pages) && skip(1) &&
              cursor.next_number(stat.start_code) && cursor.next_number(stat.end_code) &&
              cursor.next_number(stat.start_stack) &&
              skip(9) &&  // 29..37: kstkesp kstkeip signal blocked sigignore sigcatch wchan 0 0
              cursor.next_number(stat.exit_signal) && cursor.next_number(stat.processor) &&
              cursor.next_number(stat.rt_priority) && cursor.next_number(stat.policy);
  stat.tty_nr = static_cast<uint32_t>(tty);
  if (!good) return false;
  // 42..44: delay and guest times; 45.. are absent before 3.5 and zero without ptrace access.
  return skip(3) && cursor.next_number(stat.start_data) && cursor.next_number(stat.end_data) &&
         cursor.next_number(stat.start_brk) && cursor.next_number(stat.arg_start) &&
         cursor.next_number(stat.arg_end) && cursor.next_number(stat.env_start) &&
         cursor.next_number(stat.env_end) && cursor.next_number(stat.exit_status);
}

}  // namespace

Result<Stat> parse_stat(std::string_view text) {
  // The name may hold brackets, blanks and newlines: it ends at the last bracket.
  const size_t open = text.find(" (");
  const size_t close = text.rfind(") ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2 ||
      close + 2 >= text.size()) {
    return malformed(text);
  }
  Stat stat;
  TextCursor head(text.substr(0, open));
  if (!head.number(stat.pid) || !head.at_end()) return malformed(text);
  stat.comm = text.substr(open + 2, close - open - 2);
  stat.state = text[close + 2];
  TextCursor cursor(text.substr(close + 3));
  if (!parse_numbers(cursor, stat)) return malformed(text);
  return stat;
}

}  // namespace cryostat::procfs
