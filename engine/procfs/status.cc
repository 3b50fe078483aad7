#include "engine/procfs/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

namespace {

// The kernel allows NGROUPS_MAX (65536) groups.
constexpr size_t kMaxList = 65536;

using Reader = bool (*)(TextCursor&, Status&);

template <typename Int>
bool read_list(TextCursor& cursor, std::vector<Int>& list) {
  Int value = 0;
  while (cursor.next_number(value)) {
    if (list.size() >= kMaxList) return false;
    list.push_back(value);
  }
  return true;
}

bool read_ids(TextCursor& cursor, IdSet& ids) {
  return cursor.next_number(ids.real) && cursor.next_number(ids.effective) &&
         cursor.next_number(ids.saved) && cursor.next_number(ids.fs);
}

template <auto Member, int kBase = 10>
bool number(TextCursor& cursor, Status& status) {
  return cursor.next_number(status.*Member, kBase);
}

template <auto Member>
bool list(TextCursor& cursor, Status& status) {
  return read_list(cursor, status.*Member);
}

template <auto Member>
bool flag(TextCursor& cursor, Status& status) {
  unsigned value = 0;
  if (!cursor.next_number(value)) return false;
  status.*Member = value != 0;
  return true;
}

// "0-3,8"
bool read_ranges(TextCursor& cursor, std::vector<bool>& set) {
  constexpr uint32_t kMaxNodes = 1024;  // of the largest kernels
  cursor.skip_blanks();
  do {
    uint32_t first = 0;
    if (!cursor.number(first)) return cursor.at_end();  // an empty set
    uint32_t last = first;
    if (cursor.take('-') && !cursor.number(last)) return false;
    if (first > last || last >= kMaxNodes) return false;
    if (set.size() <= last) set.resize(last + 1);
    std::fill(set.begin() + first, set.begin() + last + 1, true);
  } while (cursor.take(','));
  return true;
}

// comm with \n and \\ escaped.
bool read_name(TextCursor& cursor, Status& status) {
  cursor.take('\t');
  const std::string_view text = cursor.rest();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 'n' || text[i + 1] == '\\')) {
      status.name.push_back(text[++i] == 'n' ? '\n' : '\\');
    } else {
      status.name.push_back(text[i]);
    }
  }
  return true;
}

struct Line {
  std::string_view key;
  Reader read;
};

constexpr Line kLines[] = {
    {"Name", read_name},
    {"Umask", [](TextCursor& c, Status& s) { return s.has_umask = c.next_number(s.umask, 8); }},
    {"State",
     [](TextCursor& c, Status& s) {
       const std::string_view word = c.word();
       if (word.empty()) return false;
       s.state = word[0];
       return true;
     }},
    {"Tgid", number<&Status::tgid>},
    {"Pid", number<&Status::pid>},
    {"PPid", number<&Status::ppid>},
    {"TracerPid", number<&Status::tracer_pid>},
    {"Uid", [](TextCursor& c, Status& s) { return read_ids(c, s.uid); }},
    {"Gid", [](TextCursor& c, Status& s) { return read_ids(c, s.gid); }},
    {"FDSize", number<&Status::fd_table_size>},
    {"Groups", list<&Status::groups>},
    {"NStgid", list<&Status::ns_tgid>},
    {"NSpid", list<&Status::ns_pid>},
    {"NSpgid", list<&Status::ns_pgid>},
    {"NSsid", list<&Status::ns_sid>},
    {"Kthread", flag<&Status::kernel_thread>},
    {"VmSize", [](TextCursor&, Status& s) { return s.has_memory = true; }},
    {"VmLck", number<&Status::vm_locked_kib>},
    {"THP_enabled", flag<&Status::thp_enabled>},
    {"Threads", number<&Status::threads>},
    {"SigQ",
     [](TextCursor& c, Status& s) {
       return c.next_number(s.signals_queued) && c.take('/') &&
              c.next_number(s.signals_queue_limit);
     }},
    {"SigPnd", number<&Status::pending, 16>},
    {"ShdPnd", number<&Status::shared_pending, 16>},
    {"SigBlk", number<&Status::blocked, 16>},
    {"SigIgn", number<&Status::ignored, 16>},
    {"SigCgt", number<&Status::caught, 16>},
    {"CapInh", number<&Status::cap_inheritable, 16>},
    {"CapPrm", number<&Status::cap_permitted, 16>},
    {"CapEff", number<&Status::cap_effective, 16>},
    {"CapBnd", number<&Status::cap_bounding, 16>},
    {"CapAmb", number<&Status::cap_ambient, 16>},
    {"NoNewPrivs", flag<&Status::no_new_privs>},
    {"Seccomp", number<&Status::seccomp_mode>},
    {"Seccomp_filters", number<&Status::seccomp_filters>},
    {"Mems_allowed_list", [](TextCursor& c, Status& s) { return read_ranges(c, s.allowed_nodes); }},
    {"x86_Thread_features",
     [](TextCursor& c, Status& s) {
       c.skip_blanks();
       s.shadow_stack = c.rest();
       while (!s.shadow_stack.empty() && s.shadow_stack.back() == ' ') s.shadow_stack.pop_back();
       return true;
     }},
};

}  // namespace

Result<Status> parse_status(std::string_view text) {
  Status status;
  TextCursor lines(text);
  size_t expected = 0;  // the table follows the kernel's order: the next match is usually here
  while (!lines.at_end()) {
    const std::string_view line = lines.line();
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, colon);
    size_t index = expected;
    while (index < std::size(kLines) && kLines[index].key != key) ++index;
    if (index == std::size(kLines)) {
      const auto* found = std::find_if(std::begin(kLines), std::end(kLines),
                                       [&](const Line& known) { return known.key == key; });
      if (found == std::end(kLines)) continue;
      index = static_cast<size_t>(found - std::begin(kLines));
    }
    TextCursor value(line.substr(colon + 1));
    if (!kLines[index].read(value, status)) {
      return fail(ErrorKind::kFailed, fmt::format("malformed status line: \"{}\"", excerpt(line)));
    }
    expected = index + 1;
  }
  if (status.pid == 0) {
    return fail(ErrorKind::kFailed, fmt::format("not a /proc status: \"{}\"", excerpt(text)));
  }
  return status;
}

}  // namespace cryostat::procfs
