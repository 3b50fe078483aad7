#include "engine/procfs/mountinfo.h"

#include <fmt/format.h>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

namespace {

constexpr size_t kMaxMounts = size_t{1} << 20;

// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
bool parse_line(std::string_view line, Mount& mount) {
  TextCursor cursor(line);
  if (!cursor.number(mount.id) || !cursor.next_number(mount.parent_id) ||
      !cursor.next_number(mount.dev_major) || !cursor.take(':') ||
      !cursor.number(mount.dev_minor)) {
    return false;
  }
  mount.root = unescape_octal(cursor.word());
  mount.mount_point = unescape_octal(cursor.word());
  mount.options = cursor.word();
  for (;;) {
    const std::string_view field = cursor.word();
    if (field.empty()) return false;
    if (field == "-") break;
    if (!mount.propagation.empty()) mount.propagation += ' ';
    mount.propagation += field;
  }
  mount.type = unescape_octal(cursor.word());
  // The source may be empty ("none" usually): then two blanks follow each other.
  cursor.take(' ');
  if (!cursor.rest().starts_with(' ')) mount.source = unescape_octal(cursor.word());
  mount.super_options = cursor.word();
  return !mount.mount_point.empty() && !mount.type.empty();
}

}  // namespace

Result<std::vector<Mount>> parse_mountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  TextCursor lines(text);
  while (!lines.at_end()) {
    const std::string_view line = lines.line();
    if (mounts.size() >= kMaxMounts || !parse_line(line, mounts.emplace_back())) {
      return fail(ErrorKind::kFailed,
                  fmt::format("malformed mountinfo line: \"{}\"", excerpt(line)));
    }
  }
  return mounts;
}

}  // namespace cryostat::procfs
