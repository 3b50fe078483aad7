#include "engine/procfs/meminfo.h"

#include <fmt/format.h>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

Result<Meminfo> parse_meminfo(std::string_view text) {
  Meminfo meminfo;
  const struct {
    std::string_view name;
    uint64_t& value;
  } lines[] = {{"MemAvailable:", meminfo.available_bytes},
               {"SwapFree:", meminfo.swap_free_bytes},
               {"CommitLimit:", meminfo.commit_limit_bytes},
               {"Committed_AS:", meminfo.committed_bytes}};
  TextCursor cursor(text);
  while (!cursor.at_end()) {
    const std::string_view line = cursor.line();
    for (const auto& known : lines) {
      if (!line.starts_with(known.name)) continue;
      TextCursor rest(line.substr(known.name.size()));
      uint64_t kib = 0;
      if (!rest.next_number(kib) || kib > UINT64_MAX >> 10) {
        return fail(ErrorKind::kFailed, fmt::format("malformed meminfo line: \"{}\"", line));
      }
      known.value = kib << 10;
    }
  }
  return meminfo;
}

}  // namespace cryostat::procfs
