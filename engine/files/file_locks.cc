#include "engine/files/file_locks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/base/plan_report.h"
#include "engine/files/collect.h"
#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"
#include "engine/image/files_image.h"

namespace cryostat::files {

namespace {

std::string_view take_word(std::string_view& text) {
  const auto start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  text.remove_prefix(start);
  const auto word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

std::optional<uint64_t> to_number(std::string_view word) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || word.empty()) return std::nullopt;
  return value;
}

std::optional<pb::FileLock::Sort> sort_of(std::string_view word) {
  if (word == "POSIX") return pb::FileLock::POSIX;
  if (word == "OFDLCK") return pb::FileLock::OFD;
  if (word == "FLOCK") return pb::FileLock::FLOCK;
  if (word == "LEASE") return pb::FileLock::LEASE;
  return std::nullopt;
}

std::string_view sort_name(pb::FileLock::Sort sort) {
  switch (sort) {
    case pb::FileLock::POSIX:
      return "record lock";
    case pb::FileLock::OFD:
      return "OFD lock";
    case pb::FileLock::FLOCK:
      return "flock";
    default:
      return "lease";
  }
}

short lock_type(const pb::FileLock& lock) {
  return static_cast<short>(lock.exclusive() ? F_WRLCK : F_RDLCK);
}

struct flock to_flock(const pb::FileLock& lock) {
  struct flock range = {};
  range.l_type = lock_type(lock);
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(lock.start_bytes());
  range.l_len = static_cast<off_t>(lock.length_bytes());
  return range;
}

bool can_set(const OpenDescription& description, const pb::FileLock& lock) {
  return lock.exclusive() ? description.writable() : description.readable();
}

bool has_table(const OpenDescription& description, uint32_t table) {
  return std::any_of(description.slots.begin(), description.slots.end(),
                     [table](const auto& slot) { return slot.table == table; });
}

// The description a record lock of this table is saved with: the lowest one of the file, among
// those the table has, that can set it again.
bool belongs_here(const CollectContext& context, const OpenDescription& description, uint32_t table,
                  const pb::FileLock& lock) {
  for (const auto* other : context.same_object(description))
    if (has_table(*other, table) && can_set(*other, lock)) return other->id == description.id;
  return false;
}

Failure held_elsewhere(const pb::Description& image, const pb::FileLock& lock) {
  return fail(ErrorKind::kMachine,
              fmt::format("another process holds a {} on {}", sort_name(lock.sort()),
                          image.regular().file().path()));
}

}  // namespace

Result<pb::FileLock> parse_lock(std::string_view text) {
  const auto whole = text;
  (void)take_word(text);  // "1:"
  const auto sort = take_word(text);
  const auto state = take_word(text);  // ADVISORY; of a lease ACTIVE, BREAKING or BREAKER
  const auto access = take_word(text);
  (void)take_word(text);  // pid, -1 for OFD locks
  (void)take_word(text);  // major:minor:inode
  const auto start = to_number(take_word(text));
  const auto end_word = take_word(text);
  const auto end = end_word == "EOF" ? std::optional<uint64_t>(0) : to_number(end_word);
  const auto known = sort_of(sort);
  if (sort == "LEASE" && state != "ACTIVE")
    return fail(ErrorKind::kRefused, "lease that is being broken can't be checkpointed");
  if (!known || (access != "READ" && access != "WRITE") || !start || !end)
    return fail(ErrorKind::kRefused, fmt::format("lock \"{}\" can't be checkpointed", whole));
  pb::FileLock lock;
  lock.set_sort(*known);
  lock.set_exclusive(access == "WRITE");
  lock.set_start_bytes(*start);
  if (end_word != "EOF") lock.set_length_bytes(*end - *start + 1);  // both ends are included
  return lock;
}

Result<void> collect_locks(const CollectContext& context, const OpenDescription& description,
                           pb::Description& image) {
  const auto* last = &description.slots.front();
  for (const auto& slot : description.slots) {
    const bool first = &slot == &description.slots.front();
    // Further numbers of a table show the same; record locks are shown to their own table only.
    if (!first && slot.table == last->table) continue;
    last = &slot;
    for (const auto& text : slot.locks) {
      auto lock = TRY(parse_lock(text));
      const bool posix = lock.sort() == pb::FileLock::POSIX;
      if (posix ? !belongs_here(context, description, slot.table, lock) : !first) continue;
      if (posix) lock.set_table_id(FilesCollection::table_id(slot.table));
      *image.add_locks() = std::move(lock);
    }
  }
  if (image.locks().empty() || context.options().file_locks) return {};
  return fail(ErrorKind::kRefused, fmt::format("{} on {} is held; add --file-locks (-l)",
                                               sort_name(image.locks(0).sort()), description.link));
}

void check_locks(CheckContext& context, const pb::Description& image, PlanReport& report) {
  if (image.locks().empty() || !image.has_regular() || image.regular().ghost_id() != 0) return;
  const auto& file = image.regular().file();
  const auto subject = fmt::format("lock on {}", file.path());
  struct stat st;
  const UniqueFd fd(open(file.path().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  // A file that is missing has been reported as such.
  if (!fd || fstat(fd.get(), &st) != 0) return;
  const int64_t mtime_ns = st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec;
  if (mtime_ns != file.mtime_ns()) {
    if (!context.first_time(subject)) return;
    report.missing(subject, fmt::format("the file was locked at the dump and was modified since "
                                        "(time {} ns, is {} ns now)",
                                        file.mtime_ns(), mtime_ns));
    return;
  }
  for (const auto& lock : image.locks()) {
    // The others can't be asked about, only taken.
    if (lock.sort() != pb::FileLock::POSIX && lock.sort() != pb::FileLock::OFD) continue;
    auto range = to_flock(lock);
    if (fcntl(fd.get(), F_GETLK, &range) != 0 || range.l_type == F_UNLCK) continue;
    report.missing(subject, fmt::format("process {} holds it now", range.l_pid),
                   "end that process first");
    return;
  }
  if (context.first_time(subject)) report.ok(subject, "free");
}

Result<void> restore_locks(int fd, const pb::Description& image) {
  for (const auto& lock : image.locks()) {
    int result = 0;
    if (lock.sort() == pb::FileLock::FLOCK) {
      result = flock(fd, (lock.exclusive() ? LOCK_EX : LOCK_SH) | LOCK_NB);
    } else if (lock.sort() == pb::FileLock::OFD) {
      auto range = to_flock(lock);
      result = fcntl(fd, F_OFD_SETLK, &range);
    } else if (lock.sort() == pb::FileLock::LEASE) {
      result = fcntl(fd, F_SETLEASE, lock_type(lock));
    }
    if (result == 0) continue;
    if (errno == EAGAIN || errno == EACCES) return held_elsewhere(image, lock);
    return fail_errno(fmt::format("set a {}", sort_name(lock.sort())));
  }
  return {};
}

void append_posix_locks(int fd, uint32_t table_id, const pb::Description& image,
                        std::vector<wire::FileLock>& locks) {
  for (const auto& lock : image.locks()) {
    if (lock.sort() != pb::FileLock::POSIX || lock.table_id() != table_id) continue;
    wire::FileLock record;
    record.fd = fd;
    record.type = lock_type(lock);
    record.start = static_cast<int64_t>(lock.start_bytes());
    record.length = static_cast<int64_t>(lock.length_bytes());
    locks.push_back(record);
  }
}

}  // namespace cryostat::files
