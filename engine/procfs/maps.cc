#include "engine/procfs/maps.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <array>
#include <iterator>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

namespace {

struct FlagName {
  char name[3];
  VmFlags::Flag flag;
};

constexpr FlagName kFlagNames[] = {
    {"rd", VmFlags::kReadable},       {"wr", VmFlags::kWritable},
    {"ex", VmFlags::kExecutable},     {"sh", VmFlags::kShared},
    {"mr", VmFlags::kMayRead},        {"mw", VmFlags::kMayWrite},
    {"me", VmFlags::kMayExec},        {"ms", VmFlags::kMayShare},
    {"gd", VmFlags::kGrowsDown},      {"pf", VmFlags::kPureFrames},
    {"dw", VmFlags::kDisabledWrite},  {"lo", VmFlags::kLocked},
    {"lf", VmFlags::kLockedOnFault},  {"io", VmFlags::kIo},
    {"sr", VmFlags::kSequentialRead}, {"rr", VmFlags::kRandomRead},
    {"dc", VmFlags::kDontCopy},       {"de", VmFlags::kDontExpand},
    {"ac", VmFlags::kAccountable},    {"nr", VmFlags::kNoReserve},
    {"ht", VmFlags::kHugeTlb},        {"sf", VmFlags::kSyncFault},
    {"ar", VmFlags::kArchSpecific},   {"wf", VmFlags::kWipeOnFork},
    {"dd", VmFlags::kDontDump},       {"sd", VmFlags::kSoftDirty},
    {"mm", VmFlags::kMixedMap},       {"hg", VmFlags::kHugePage},
    {"nh", VmFlags::kNoHugePage},     {"mg", VmFlags::kMergeable},
    {"um", VmFlags::kUffdMissing},    {"uw", VmFlags::kUffdWriteProtect},
    {"ui", VmFlags::kUffdMinor},      {"ss", VmFlags::kShadowStack},
    {"sl", VmFlags::kSealed},         {"dp", VmFlags::kDroppable},
    {"bt", VmFlags::kUserMapLocked},  {"mt", VmFlags::kUserMapLocked},
    {"gu", VmFlags::kGuard},
};

constexpr size_t kNoFlag = 0xff;

// Two letters to a flag by table look-up.
constexpr auto kFlagTable = [] {
  std::array<uint8_t, 26 * 26> table{};
  for (auto& slot : table) slot = kNoFlag;
  for (const FlagName& known : kFlagNames) {
    table[static_cast<size_t>(known.name[0] - 'a') * 26 +
          static_cast<size_t>(known.name[1] - 'a')] = known.flag;
  }
  return table;
}();

constexpr std::string_view kDeleted = " (deleted)";

void read_name(std::string_view text, MapsEntry& entry) {
  if (text.find('\\') == std::string_view::npos) {
    entry.name = text;
  } else {
    entry.name = unescape_octal(text);
  }
  if (entry.inode != 0 && entry.name.ends_with(kDeleted)) {
    entry.name.resize(entry.name.size() - kDeleted.size());
    entry.deleted = true;
  }
}

// "start-end perms offset major:minor inode   name"
bool parse_header(std::string_view line, MapsEntry& entry) {
  TextCursor cursor(line);
  uint64_t major = 0;
  uint64_t minor = 0;
  if (!cursor.hex(entry.start) || !cursor.take('-') || !cursor.hex(entry.end) ||
      !cursor.take(' ')) {
    return false;
  }
  const std::string_view perms = cursor.rest().substr(0, 4);
  if (perms.size() != 4 || !cursor.take(perms) || !cursor.take(' ')) return false;
  entry.readable = perms[0] == 'r';
  entry.writable = perms[1] == 'w';
  entry.executable = perms[2] == 'x';
  entry.shared = perms[3] == 's';
  if (!cursor.hex(entry.offset_bytes) || !cursor.take(' ') || !cursor.hex(major) ||
      !cursor.take(':') || !cursor.hex(minor) || !cursor.take(' ') || !cursor.number(entry.inode)) {
    return false;
  }
  entry.dev_major = static_cast<uint32_t>(major);
  entry.dev_minor = static_cast<uint32_t>(minor);
  cursor.skip_blanks();
  read_name(cursor.rest(), entry);
  return entry.start < entry.end;
}

bool parse_flags(std::string_view text, SmapsEntry& entry) {
  TextCursor cursor(text);
  for (;;) {
    const std::string_view word = cursor.word();
    if (word.empty()) return true;
    size_t flag = kNoFlag;
    if (word.size() == 2 && word[0] >= 'a' && word[0] <= 'z' && word[1] >= 'a' && word[1] <= 'z') {
      flag =
          kFlagTable[static_cast<size_t>(word[0] - 'a') * 26 + static_cast<size_t>(word[1] - 'a')];
    }
    if (flag != kNoFlag) {
      entry.flags.set(static_cast<VmFlags::Flag>(flag));
      continue;
    }
    entry.flags.set(VmFlags::kUnknown);
    if (!entry.unknown_flags.empty()) entry.unknown_flags += ' ';
    entry.unknown_flags += word;
  }
}

// "   12 kB" into bytes.
bool read_kib(std::string_view value, uint64_t& bytes) {
  TextCursor cursor(value);
  uint64_t kib = 0;
  if (!cursor.next_number(kib) || kib >> 54 != 0) return false;
  bytes = kib * 1024;
  return true;
}

bool parse_detail(std::string_view key, std::string_view value, SmapsEntry& entry) {
  // The first letter sorts out most of the two dozen lines of an area without a comparison.
  switch (key[0]) {
    case 'A':
      return key != "Anonymous" || read_kib(value, entry.anonymous_bytes);
    case 'K':
      return key != "KernelPageSize" || read_kib(value, entry.kernel_page_size_bytes);
    case 'L':
      return key != "Locked" || read_kib(value, entry.locked_bytes);
    case 'P':
      if (key == "ProtectionKey") {
        TextCursor cursor(value);
        return cursor.next_number(entry.protection_key);
      }
      return key != "Private_Hugetlb" || read_kib(value, entry.private_hugetlb_bytes);
    case 'R':
      return key != "Rss" || read_kib(value, entry.rss_bytes);
    case 'S':
      if (key == "Swap") return read_kib(value, entry.swap_bytes);
      return key != "Shared_Hugetlb" || read_kib(value, entry.shared_hugetlb_bytes);
    case 'V':
      return key != "VmFlags" || parse_flags(value, entry);
    default:
      return true;
  }
}

Failure malformed(const char* file, std::string_view line) {
  return fail(ErrorKind::kFailed, fmt::format("malformed {} line: \"{}\"", file, excerpt(line)));
}

// An area's first line starts with a lower-case hexadecimal digit, every other with a capital.
bool is_header(std::string_view line) {
  return !line.empty() &&
         ((line[0] >= '0' && line[0] <= '9') || (line[0] >= 'a' && line[0] <= 'f'));
}

template <typename Entry>
Result<void> append_area(std::vector<Entry>& areas, const char* file, std::string_view line) {
  if (areas.size() >= kMaxAreas) {
    return fail(ErrorKind::kFailed, fmt::format("{}: more than {} areas", file, kMaxAreas));
  }
  Entry& entry = areas.emplace_back();
  if (!parse_header(line, entry)) return malformed(file, line);
  // Torn reads of a running task can repeat or swap areas; a stopped one never does.
  if (areas.size() > 1 && entry.start < areas[areas.size() - 2].end) {
    return fail(ErrorKind::kFailed,
                fmt::format("{}: areas out of order at {:#x}", file, entry.start));
  }
  return {};
}

}  // namespace

int MapsEntry::protection() const {
  return (readable ? PROT_READ : 0) | (writable ? PROT_WRITE : 0) | (executable ? PROT_EXEC : 0);
}

Result<std::vector<MapsEntry>> parse_maps(std::string_view text) {
  std::vector<MapsEntry> areas;
  TextCursor lines(text);
  while (!lines.at_end()) TRY(append_area(areas, "maps", lines.line()));
  return areas;
}

Result<std::vector<SmapsEntry>> parse_smaps(std::string_view text) {
  std::vector<SmapsEntry> areas;
  TextCursor lines(text);
  while (!lines.at_end()) {
    const std::string_view line = lines.line();
    if (is_header(line)) {
      TRY(append_area(areas, "smaps", line));
      continue;
    }
    const size_t colon = line.find(':');
    if (areas.empty() || colon == std::string_view::npos || colon == 0 ||
        !parse_detail(line.substr(0, colon), line.substr(colon + 1), areas.back())) {
      return malformed("smaps", line);
    }
  }
  return areas;
}

}  // namespace cryostat::procfs
