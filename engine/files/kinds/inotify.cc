#include "engine/files/kinds/inotify.h"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/file_check.h"
#include "engine/files/restore_context.h"
#include "engine/files/watched_file.h"

namespace cryostat::files {

namespace {

constexpr unsigned long kSetNextWd = _IOW('I', 0, int32_t);  // INOTIFY_IOC_SETNEXTWD, 4.17
// Without that ioctl numbers are counted up one by one.
constexpr int32_t kMaxCountedWd = 1 << 20;

Failure add_failure(const pb::InotifyWatch& watch) {
  const int error = errno;
  auto failure = Error::from_errno(error, fmt::format("watch {}", watch.path()));
  if (error == ENOSPC)
    failure = std::move(failure)
                  .as(ErrorKind::kMachine)
                  .with_hint("raise /proc/sys/fs/inotify/max_user_watches");
  return tl::unexpected(std::move(failure));
}

int add(int fd, const pb::InotifyWatch& watch) {
  return inotify_add_watch(fd, watch.path().c_str(), watch.mask() | IN_DONT_FOLLOW);
}

// Removing a watch is an event of its own (IN_IGNORED).
void drop(int fd, int wd) {
  alignas(struct inotify_event) std::array<char, 4096> events;
  (void)inotify_rm_watch(fd, wd);
  int waiting = 0;
  while (ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0)
    if (read(fd, events.data(), events.size()) <= 0) return;
}

Result<void> add_at_number(int fd, const pb::InotifyWatch& watch) {
  const int32_t wanted = watch.wd();
  const bool can_ask = ioctl(fd, kSetNextWd, wanted) == 0;
  for (;;) {
    const int got = add(fd, watch);
    if (got < 0) return add_failure(watch);
    if (got == wanted) return {};
    if (can_ask || got > wanted || wanted > kMaxCountedWd)
      return fail(ErrorKind::kMachine,
                  fmt::format("watch {} on {} would get number {}", wanted, watch.path(), got));
    drop(fd, got);
  }
}

}  // namespace

bool InotifyKind::matches(const OpenDescription& description) const {
  return description.anonymous_inode() == "inotify";
}

Result<void> InotifyKind::collect(CollectContext& context, const OpenDescription& description,
                                  pb::Description& image) const {
  int waiting = 0;
  if (ioctl(description.copy.get(), FIONREAD, &waiting) != 0) return fail_errno("FIONREAD");
  if (waiting != 0)
    return fail(ErrorKind::kRefused,
                "inotify instance with unread events can't be checkpointed: events can't be put "
                "back");
  auto& watches = *image.mutable_inotify()->mutable_watches();
  for (const auto& line : description.info.extra) {
    if (!line.starts_with("inotify ")) continue;
    const auto info = TRY(procfs::parse_inotify_line(line));
    auto file = TRY(find_watched(context, info.inode, fmt::format("inotify watch {}", info.wd)));
    auto& watch = *watches.Add();
    watch.set_wd(info.wd);
    watch.set_mask(info.mask);
    watch.set_path(std::move(file.path));
    watch.set_mode(file.mode);
  }
  std::sort(watches.begin(), watches.end(),
            [](const auto& a, const auto& b) { return a.wd() < b.wd(); });
  return {};
}

bool InotifyKind::owns(const pb::Description& image) const { return image.has_inotify(); }

void InotifyKind::check(CheckContext& context, const pb::Description& image,
                        PlanReport& report) const {
  for (const auto& watch : image.inotify().watches())
    if (check_type(context, watch.path(), watch.mode(), report) &&
        context.first_time("watch " + watch.path()))
      report.ok(watch.path(), "watched");
}

Result<UniqueFd> InotifyKind::restore(RestoreContext&, const pb::Description&) const {
  UniqueFd fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd) return fail_errno("create an inotify instance");
  return fd;
}

Result<void> InotifyKind::finish(RestoreContext&, const pb::Description& image, int fd) const {
  for (const auto& watch : image.inotify().watches()) TRY(add_at_number(fd, watch));
  return {};
}

}  // namespace cryostat::files
