#include "engine/procfs/limits.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

namespace {

struct Name {
  std::string_view text;
  int resource;
};

constexpr Name kNames[] = {
    {"Max cpu time", RLIMIT_CPU},
    {"Max file size", RLIMIT_FSIZE},
    {"Max data size", RLIMIT_DATA},
    {"Max stack size", RLIMIT_STACK},
    {"Max core file size", RLIMIT_CORE},
    {"Max resident set", RLIMIT_RSS},
    {"Max processes", RLIMIT_NPROC},
    {"Max open files", RLIMIT_NOFILE},
    {"Max locked memory", RLIMIT_MEMLOCK},
    {"Max address space", RLIMIT_AS},
    {"Max file locks", RLIMIT_LOCKS},
    {"Max pending signals", RLIMIT_SIGPENDING},
    {"Max msgqueue size", RLIMIT_MSGQUEUE},
    {"Max nice priority", RLIMIT_NICE},
    {"Max realtime priority", RLIMIT_RTPRIO},
    {"Max realtime timeout", RLIMIT_RTTIME},
};

bool read_value(TextCursor& cursor, uint64_t& value) {
  cursor.skip_blanks();
  if (cursor.take("unlimited")) {
    value = UINT64_MAX;
    return true;
  }
  return cursor.number(value);
}

}  // namespace

Result<std::vector<Limit>> parse_limits(std::string_view text) {
  std::vector<Limit> limits;
  TextCursor lines(text);
  while (!lines.at_end()) {
    const std::string_view line = lines.line();
    for (const Name& name : kNames) {
      if (!line.starts_with(name.text)) continue;
      TextCursor cursor(line.substr(name.text.size()));
      Limit limit{name.resource, 0, 0};
      if (!read_value(cursor, limit.soft) || !read_value(cursor, limit.hard)) {
        return fail(ErrorKind::kFailed,
                    fmt::format("malformed limits line: \"{}\"", excerpt(line)));
      }
      limits.push_back(limit);
      break;
    }
  }
  std::sort(limits.begin(), limits.end(),
            [](const Limit& a, const Limit& b) { return a.resource < b.resource; });
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (i >= limits.size() || limits[i].resource != static_cast<int>(i)) {
      return fail(ErrorKind::kFailed, fmt::format("limits: resource {} is missing or repeated", i));
    }
  }
  return limits;
}

}  // namespace cryostat::procfs
