#include "engine/procfs/watch_info.h"

#include <fmt/format.h>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

namespace {

constexpr size_t kMaxHandleBytes = 128;  // MAX_HANDLE_SZ

Failure malformed(std::string_view line) {
  return fail(ErrorKind::kFailed, fmt::format("malformed fdinfo line: \"{}\"", excerpt(line)));
}

bool unhex(std::string_view text, std::string& bytes) {
  if (text.size() % 2 != 0 || text.size() / 2 > kMaxHandleBytes) return false;
  for (size_t i = 0; i < text.size(); i += 2) {
    TextCursor digits(text.substr(i, 2));
    unsigned value = 0;
    if (!digits.number(value, 16) || !digits.at_end()) return false;
    bytes += static_cast<char>(value);
  }
  return true;
}

struct Pair {
  std::string_view key;
  std::string_view value;
};

// "key:value", the next word of the line.
Pair take_pair(TextCursor& cursor) {
  const auto word = cursor.word();
  const auto colon = word.find(':');
  if (colon == std::string_view::npos) return {word, {}};
  return {word.substr(0, colon), word.substr(colon + 1)};
}

template <typename Int>
bool hex_in(std::string_view text, Int& value) {
  TextCursor cursor(text);
  return cursor.number(value, 16) && cursor.at_end();
}

// The keys that say which file it is. False for a bad value; `known` is false for other keys.
bool read_inode(const Pair& pair, WatchedInode& inode, bool& known) {
  known = true;
  if (pair.key == "ino") return hex_in(pair.value, inode.inode);
  if (pair.key == "sdev") return hex_in(pair.value, inode.device);
  if (pair.key == "fhandle-type") return hex_in(pair.value, inode.handle_type);
  if (pair.key == "f_handle") return unhex(pair.value, inode.handle);
  if (pair.key == "fhandle-bytes") return true;  // f_handle's own length says it
  known = false;
  return true;
}

}  // namespace

Result<InotifyLine> parse_inotify_line(std::string_view line) {
  InotifyLine watch;
  TextCursor cursor(line);
  if (cursor.word() != "inotify") return malformed(line);
  for (cursor.skip_blanks(); !cursor.at_end(); cursor.skip_blanks()) {
    const auto pair = take_pair(cursor);
    bool known = false;
    bool good = read_inode(pair, watch.inode, known);
    if (pair.key == "wd") good = hex_in(pair.value, watch.wd);
    if (pair.key == "mask") good = hex_in(pair.value, watch.mask);
    if (!good) return malformed(line);
  }
  if (watch.wd <= 0 || watch.mask == 0) return malformed(line);
  return watch;
}

Result<FanotifyLine> parse_fanotify_line(std::string_view line) {
  FanotifyLine mark;
  bool group = false, mount = false, inode = false, device = false;
  TextCursor cursor(line);
  if (cursor.word() != "fanotify") return malformed(line);
  for (cursor.skip_blanks(); !cursor.at_end(); cursor.skip_blanks()) {
    const auto pair = take_pair(cursor);
    bool known = false;
    bool good = read_inode(pair, mark.inode, known);
    inode |= pair.key == "ino";
    device |= pair.key == "sdev";
    group |= pair.key == "flags";
    mount |= pair.key == "mnt_id";
    if (pair.key == "flags") good = hex_in(pair.value, mark.init_flags);
    if (pair.key == "event-flags") good = hex_in(pair.value, mark.event_flags);
    if (pair.key == "mnt_id") good = hex_in(pair.value, mark.mount_id);
    if (pair.key == "mflags") good = hex_in(pair.value, mark.mark_flags);
    if (pair.key == "mask") good = hex_in(pair.value, mark.mask);
    if (pair.key == "ignored_mask") good = hex_in(pair.value, mark.ignored_mask);
    if (!good) return malformed(line);
  }
  if (!group && !mount && !inode && !device) return malformed(line);
  using Sort = FanotifyLine::Sort;
  mark.sort = group   ? Sort::kGroup
              : mount ? Sort::kMount
              : inode ? Sort::kInode
                      : Sort::kFileSystem;
  return mark;
}

}  // namespace cryostat::procfs
