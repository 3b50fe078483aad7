#include "engine/files/descriptor_table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <climits>
#include <compare>
#include <string_view>
#include <utility>

#include "engine/procfs/task_handle.h"

namespace cryostat::files {

namespace {

// One number of the table before sharing is known: a description with a single slot.
using Candidate = OpenDescription;

class TableReader {
 public:
  static Result<TableReader> open(const TaskHandle& task) {
    auto links = TRY(task.proc().open_file("fd", O_RDONLY | O_DIRECTORY));
    auto infos = TRY(task.proc().open_file("fdinfo", O_RDONLY | O_DIRECTORY));
    return TableReader(task, std::move(links), std::move(infos));
  }

  // `table`: the index of this table among those that are read together.
  Result<Candidate> read(int fd, uint32_t table) const {
    const auto name = std::to_string(fd);
    Candidate candidate;
    candidate.task = task_;
    candidate.link = TRY(read_link(name));
    // Through the link, so that objects without a name answer too.
    if (fstatat(links_.get(), name.c_str(), &candidate.st, 0) != 0)
      return fail_errno(describe("stat", "fd", name));
    candidate.info =
        TRY_IN(procfs::parse_fdinfo(TRY(read_info(name))), describe("parse", "fdinfo", name));
    candidate.flags = candidate.info.flags & ~static_cast<uint32_t>(O_CLOEXEC);
    candidate.position = candidate.info.position;
    candidate.slots.push_back(
        {RemoteFd(fd), (candidate.info.flags & O_CLOEXEC) != 0, table, candidate.info.locks});
    return candidate;
  }

 private:
  TableReader(const TaskHandle& task, UniqueFd links, UniqueFd infos)
      : task_(&task), links_(std::move(links)), infos_(std::move(infos)) {}

  std::string describe(const char* action, const char* directory, const std::string& name) const {
    return fmt::format("{} {}/{}/{}", action, task_->proc().path(), directory, name);
  }

  Result<std::string> read_link(const std::string& name) const {
    std::array<char, PATH_MAX + 1> text;
    const auto length = readlinkat(links_.get(), name.c_str(), text.data(), text.size());
    // d_path(9) gives up on names longer than a page; such a file can't be found by its path.
    if (length < 0 && errno == ENAMETOOLONG) return std::string(PATH_MAX + 1, '?');
    if (length < 0) return fail_errno(describe("readlink", "fd", name));
    return std::string(text.data(), static_cast<size_t>(length));
  }

  Result<std::string> read_info(const std::string& name) const {
    const UniqueFd file(openat(infos_.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return fail_errno(describe("open", "fdinfo", name));
    std::string text;
    std::array<char, 4096> chunk;
    for (;;) {
      const auto got = ::read(file.get(), chunk.data(), chunk.size());
      if (got < 0) return fail_errno(describe("read", "fdinfo", name));
      if (got == 0) return text;
      // An epoll instance has a line for each watch.
      if (text.size() > kMaxInfoBytes)
        return fail(ErrorKind::kFailed, describe("too long:", "fdinfo", name));
      text.append(chunk.data(), static_cast<size_t>(got));
      // The kernel makes the text in one piece: a short read is the last one.
      if (static_cast<size_t>(got) < chunk.size()) return text;
    }
  }

  static constexpr size_t kMaxInfoBytes = 64u << 20;
  const TaskHandle* task_;
  UniqueFd links_;
  UniqueFd infos_;
};

// What never changes of a description: numbers that differ in it don't share one. All anonymous
// inodes of a kernel are one inode, their names and what the kernel numbers tell them apart. Names
// of files, status flags and positions may be changed from outside between two looks.
struct Constant {
  dev_t device;
  ino_t inode;
  mode_t mode;
  uint32_t access;
  std::string_view anonymous;
  uint64_t eventfd_id;
  int clock_id;
  auto operator<=>(const Constant&) const = default;
};

Constant constant_of(const OpenDescription& d) {
  const bool is_anonymous = d.link.starts_with("anon_inode:");
  return {d.st.st_dev,
          d.st.st_ino,
          d.st.st_mode,
          d.flags & (O_ACCMODE | O_PATH),
          is_anonymous ? std::string_view(d.link) : std::string_view(),
          d.info.eventfd_id,
          d.info.timerfd ? d.info.timerfd->clock_id : 0};
}

// Orders open descriptions as kcmp(2) does; remembers the first failure.
class KcmpOrder {
 public:
  bool less(const Candidate& a, const Candidate& b) { return compare(a, b) == kLess; }
  bool same(const Candidate& a, const Candidate& b) { return compare(a, b) == kSame; }
  int error() const { return error_; }

 private:
  static constexpr long kSame = 0, kLess = 1;
  long compare(const Candidate& a, const Candidate& b) {
    const long order = syscall(SYS_kcmp, a.task->pid().value, b.task->pid().value, KCMP_FILE,
                               a.fd().value, b.fd().value);
    if (order < 0 && error_ == 0) error_ = errno;
    return order;
  }
  int error_ = 0;
};

Failure kcmp_failure(int error, const Candidate& candidate) {
  if (error == ENOSYS) {
    return tl::unexpected(
        Error(ErrorKind::kRefused,
              fmt::format("{}: whether descriptors share it can't be told without kcmp(2)",
                          candidate.label()))
            .with_hint("use a kernel built with CONFIG_KCMP"));
  }
  return fail_errno(error, fmt::format("kcmp {}", candidate.label()));
}

using Candidates = std::vector<Candidate*>;

// Merges candidates [first, last) of one object into descriptions.
Result<void> merge_shared(Candidates::iterator first, Candidates::iterator last,
                          std::vector<OpenDescription>& out) {
  KcmpOrder order;
  if (last - first > 1) {
    // A merge sort: it stays within bounds even if a failing kcmp makes the order inconsistent.
    std::stable_sort(first, last, [&](auto* a, auto* b) { return order.less(*a, *b); });
  }
  for (auto it = first; it != last; ++it) {
    if (it != first && order.same(out.back(), **it)) {
      out.back().slots.push_back(std::move((*it)->slots.front()));
    } else {
      out.push_back(std::move(**it));
    }
    if (order.error() != 0) return kcmp_failure(order.error(), out.back());
  }
  return {};
}

auto place(const DescriptorSlot& slot) { return std::pair(slot.table, slot.fd); }

Result<void> read_candidates(const TaskHandle& task, uint32_t table,
                             std::span<const RemoteFd> skipped,
                             std::vector<Candidate>& candidates) {
  const auto reader = TRY(TableReader::open(task));
  for (const int fd : TRY(task.proc().list_numbers("fd"))) {
    if (std::find(skipped.begin(), skipped.end(), RemoteFd(fd)) != skipped.end()) continue;
    candidates.push_back(TRY(reader.read(fd, table)));
  }
  return {};
}

Result<std::vector<OpenDescription>> merge_candidates(std::vector<Candidate>& candidates) {
  std::vector<std::pair<Constant, Candidate*>> keyed;
  keyed.reserve(candidates.size());
  for (auto& candidate : candidates) keyed.emplace_back(constant_of(candidate), &candidate);
  // Stable: equal objects stay in ascending order of their numbers.
  std::ranges::stable_sort(keyed, {}, &std::pair<Constant, Candidate*>::first);
  std::vector<OpenDescription> descriptions;
  descriptions.reserve(candidates.size());
  for (size_t first = 0; first < keyed.size();) {
    Candidates same;
    size_t last = first;
    while (last < keyed.size() && keyed[last].first == keyed[first].first)
      same.push_back(keyed[last++].second);
    // The names in the keys are those of the candidates, which merging moves away.
    TRY(merge_shared(same.begin(), same.end(), descriptions));
    first = last;
  }
  return descriptions;
}

}  // namespace

Result<std::vector<OpenDescription>> read_descriptor_tables(
    std::span<const TaskHandle* const> tasks, std::span<const RemoteFd> skipped,
    const std::function<bool(size_t task)>& leads) {
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (!leads(i)) continue;
    TRY(read_candidates(*tasks[i], static_cast<uint32_t>(i),
                        i == 0 ? skipped : std::span<const RemoteFd>(), candidates));
  }

  std::vector<OpenDescription> descriptions = TRY(merge_candidates(candidates));
  for (auto& description : descriptions) {
    std::sort(description.slots.begin(), description.slots.end(),
              [](const auto& a, const auto& b) { return place(a) < place(b); });
    description.task = tasks[description.slots.front().table];
  }
  std::sort(descriptions.begin(), descriptions.end(), [](const auto& a, const auto& b) {
    return place(a.slots.front()) < place(b.slots.front());
  });
  for (size_t i = 0; i < descriptions.size(); ++i)
    descriptions[i].id = static_cast<uint32_t>(i + 1);
  return descriptions;
}

Result<OpenDescription> read_descriptor(const TaskHandle& task, int fd) {
  const auto reader = TRY(TableReader::open(task));
  return reader.read(fd, kNoTable);
}

}  // namespace cryostat::files
