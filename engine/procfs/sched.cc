#include "engine/procfs/sched.h"

#include <fmt/format.h>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

namespace {

// "se.exec_start   :   204924.123456": milliseconds with six decimals.
bool read_ms(std::string_view value, uint64_t& ns) {
  TextCursor cursor(value);
  uint64_t ms = 0;
  if (!cursor.next_number(ms) || !cursor.take('.') || ms > UINT64_MAX / 2'000'000) return false;
  const std::string_view digits = cursor.rest().substr(0, 6);
  uint64_t rest_ns = 0;
  if (digits.size() != 6 || !cursor.number(rest_ns)) return false;
  ns = ms * 1'000'000 + rest_ns;
  return true;
}

}  // namespace

Result<SchedInfo> parse_sched(std::string_view text) {
  SchedInfo info;
  bool has_start = false;
  bool has_sum = false;
  TextCursor lines(text);
  while (!lines.at_end() && !(has_start && has_sum)) {
    const std::string_view line = lines.line();
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view value = line.substr(colon + 1);
    if (!has_start && line.starts_with("se.exec_start")) {
      has_start = read_ms(value, info.exec_start_ns);
    } else if (!has_sum && line.starts_with("se.sum_exec_runtime")) {
      has_sum = read_ms(value, info.sum_exec_runtime_ns);
    }
  }
  if (!has_start) return fail(ErrorKind::kFailed, "sched: no se.exec_start line");
  return info;
}

}  // namespace cryostat::procfs
