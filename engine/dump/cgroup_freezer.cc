#include "engine/dump/cgroup_freezer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <thread>
#include <utility>

#include "engine/base/log.h"

namespace cryostat::dump {

namespace {

constexpr const char* kStateOfOne = "freezer.state";   // FROZEN, FREEZING, THAWED
constexpr const char* kStateOfTwo = "cgroup.freeze";   // 1, 0: what was asked for
constexpr const char* kEventsOfTwo = "cgroup.events";  // "frozen 1"
// Becoming frozen takes microseconds, or as long as somebody's system call does.
constexpr std::chrono::milliseconds kLookEvery(1);

bool has_file(const UniqueFd& folder, const char* name) {
  struct stat unused;
  return fstatat(folder.get(), name, &unused, 0) == 0;
}

// The groups below a group are frozen with it.
Result<bool> contains(const std::string& path, pid_t pid) {
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(path, error);
  const auto lists = [pid](const std::string& group) {
    std::ifstream members(group + "/cgroup.procs");
    for (pid_t member = 0; members >> member;)
      if (member == pid) return true;
    return false;
  };
  bool found = lists(path);
  for (; !error && !found && entry != std::filesystem::recursive_directory_iterator();
       entry.increment(error))
    found = entry->is_directory(error) && lists(entry->path());
  if (error)
    return fail_errno(error.value(), fmt::format("list the control groups below {}", path));
  return found;
}

}  // namespace

Result<CgroupFreezer> CgroupFreezer::open(const std::string& path) {
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder)
    return tl::unexpected(Error::from_errno(errno, fmt::format("open the control group {}", path))
                              .as(ErrorKind::kUsage)
                              .with_hint("--freeze-cgroup takes the folder of a control group"));
  const bool is_one = has_file(folder, kStateOfOne);
  if (!is_one && !has_file(folder, kStateOfTwo))
    return fail(ErrorKind::kUsage,
                fmt::format("{} is no control group that can be frozen: it has neither {} nor {}",
                            path, kStateOfOne, kStateOfTwo));
  for (const pid_t own : {getpid(), getppid()})
    if (TRY(contains(path, own)))
      return tl::unexpected(
          Error(ErrorKind::kRefused, fmt::format("cr-dump itself is in control group {}", path))
              .with_hint("start it in another one"));
  CgroupFreezer freezer(path, std::move(folder), is_one ? Version::kOne : Version::kTwo);
  freezer.found_ = freezer.now_ = TRY(freezer.requested());
  return freezer;
}

CgroupFreezer::CgroupFreezer(CgroupFreezer&& other) noexcept
    : path_(std::move(other.path_)),
      folder_(std::move(other.folder_)),
      version_(other.version_),
      found_(other.found_),
      now_(other.now_) {}

CgroupFreezer::~CgroupFreezer() {
  if (!folder_.valid()) return;
  if (const auto done = put_back(); !done) log::warn("{}", done.error().message());
}

Result<std::string> CgroupFreezer::read(const char* file) const {
  const UniqueFd fd(openat(folder_.get(), file, O_RDONLY | O_CLOEXEC));
  std::array<char, 256> text;
  const ssize_t got = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
  if (got < 0) return fail_errno(fmt::format("read {}/{}", path_, file));
  return std::string(text.data(), static_cast<size_t>(got));
}

Result<CgroupFreezer::State> CgroupFreezer::requested() const {
  if (version_ == Version::kTwo)
    return TRY(read(kStateOfTwo)).starts_with('1') ? State::kFrozen : State::kThawed;
  return TRY(read(kStateOfOne)).starts_with("THAWED") ? State::kThawed : State::kFrozen;
}

Result<bool> CgroupFreezer::is_frozen() const {
  if (version_ == Version::kOne) return TRY(read(kStateOfOne)).starts_with("FROZEN");
  return TRY(read(kEventsOfTwo)).find("frozen 1") != std::string::npos;
}

Result<void> CgroupFreezer::ask_for(State state) {
  const bool is_one = version_ == Version::kOne;
  const char* const file = is_one ? kStateOfOne : kStateOfTwo;
  const std::string_view text =
      state == State::kFrozen ? (is_one ? "FROZEN" : "1") : (is_one ? "THAWED" : "0");
  const UniqueFd fd(openat(folder_.get(), file, O_WRONLY | O_CLOEXEC));
  if (!fd || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno(fmt::format("write {} to {}/{}", text, path_, file));
  now_ = state;
  return {};
}

Result<void> CgroupFreezer::freeze(const Deadline& deadline, const StopRequest& stop) {
  TRY(ask_for(State::kFrozen));
  for (;;) {
    const auto frozen = is_frozen();
    if (frozen && *frozen) return {};
    Result<void> go_on = frozen ? stop.check() : tl::unexpected(frozen.error());
    if (go_on && deadline.expired())
      go_on = fail(ErrorKind::kFailed, fmt::format("timed out freezing control group {}", path_));
    if (!go_on) {
      TRY(put_back());
      return go_on;
    }
    std::this_thread::sleep_for(kLookEvery);
  }
}

Result<void> CgroupFreezer::thaw() { return ask_for(State::kThawed); }

Result<void> CgroupFreezer::put_back() {
  if (now_ == found_) return {};
  return ask_for(found_);
}

}  // namespace cryostat::dump
