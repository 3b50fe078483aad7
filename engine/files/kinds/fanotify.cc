#include "engine/files/kinds/fanotify.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/file_check.h"
#include "engine/files/restore_context.h"
#include "engine/files/watched_file.h"

namespace cryostat::files {

namespace {

using procfs::FanotifyLine;

// Kernel ABI (linux/fanotify.h); headers of supported distributions may lack the newer ones.
constexpr uint32_t kClassBits = 0x0c;        // FAN_CLASS_CONTENT, FAN_CLASS_PRE_CONTENT
constexpr uint32_t kMarkFileSystem = 0x100;  // FAN_MARK_FILESYSTEM, 4.20
constexpr uint32_t kMarkEvictable = 0x200;   // FAN_MARK_EVICTABLE, 5.19
constexpr uint32_t kMarkIgnore = 0x400;      // FAN_MARK_IGNORE, 6.0
constexpr uint32_t kKnownMarkFlags = FAN_MARK_IGNORED_SURV_MODIFY | kMarkEvictable | kMarkIgnore;

uint32_t sort_flag(pb::FanotifyMark::Sort sort) {
  if (sort == pb::FanotifyMark::MOUNT) return FAN_MARK_MOUNT;
  if (sort == pb::FanotifyMark::FILE_SYSTEM) return kMarkFileSystem;
  return 0;
}

Result<void> find_place(CollectContext& context, const FanotifyLine& line, pb::FanotifyMark& mark) {
  switch (line.sort) {
    case FanotifyLine::Sort::kMount:
      mark.set_sort(pb::FanotifyMark::MOUNT);
      mark.set_path(TRY(find_mount(context, line.mount_id, "fanotify mark")));
      break;
    case FanotifyLine::Sort::kFileSystem:
      mark.set_sort(pb::FanotifyMark::FILE_SYSTEM);
      mark.set_path(TRY(find_file_system(context, line.inode.device, "fanotify mark")));
      break;
    default: {
      auto file = TRY(find_watched(context, line.inode, "fanotify mark"));
      mark.set_path(std::move(file.path));
      mark.set_mode(file.mode);
      return {};
    }
  }
  struct stat st;
  if (lstat(mark.path().c_str(), &st) != 0) return fail_errno(fmt::format("stat {}", mark.path()));
  mark.set_mode(st.st_mode);
  return {};
}

Result<void> collect_line(CollectContext& context, const std::string& text, pb::Fanotify& group) {
  const auto line = TRY(procfs::parse_fanotify_line(text));
  if (line.sort == FanotifyLine::Sort::kGroup) {
    // While its listener is frozen, every access it decides about waits.
    if ((line.init_flags & kClassBits) != 0)
      return fail(ErrorKind::kRefused,
                  "fanotify group that decides about accesses can't be checkpointed");
    group.set_init_flags(line.init_flags);
    group.set_event_flags(line.event_flags);
    return {};
  }
  if ((line.mark_flags & ~kKnownMarkFlags) != 0)
    return fail(
        ErrorKind::kRefused,
        fmt::format("fanotify mark with flags {:#x} can't be checkpointed", line.mark_flags));
  auto& mark = *group.add_marks();
  mark.set_mask(line.mask);
  mark.set_ignored_mask(line.ignored_mask);
  mark.set_flags(line.mark_flags);
  return find_place(context, line, mark);
}

Result<void> set_mark(int fd, const pb::FanotifyMark& mark, uint32_t flags, uint64_t mask) {
  flags |= FAN_MARK_ADD | sort_flag(mark.sort());
  if (mark.sort() == pb::FanotifyMark::INODE) flags |= FAN_MARK_DONT_FOLLOW;
  if (fanotify_mark(fd, flags, mask, AT_FDCWD, mark.path().c_str()) != 0)
    return fail_errno(fmt::format("mark {} with fanotify", mark.path()));
  return {};
}

}  // namespace

bool FanotifyKind::matches(const OpenDescription& description) const {
  return description.anonymous_inode() == "fanotify";
}

Result<void> FanotifyKind::collect(CollectContext& context, const OpenDescription& description,
                                   pb::Description& image) const {
  int waiting = 0;
  if (ioctl(description.copy.get(), FIONREAD, &waiting) != 0) return fail_errno("FIONREAD");
  if (waiting != 0)
    return fail(ErrorKind::kRefused,
                "fanotify group with unread events can't be checkpointed: events can't be put "
                "back");
  for (const auto& line : description.info.extra)
    if (line.starts_with("fanotify ")) TRY(collect_line(context, line, *image.mutable_fanotify()));
  if (!image.has_fanotify())
    return fail(ErrorKind::kRefused,
                "fanotify group whose marks this kernel does not tell can't be checkpointed");
  return {};
}

bool FanotifyKind::owns(const pb::Description& image) const { return image.has_fanotify(); }

void FanotifyKind::check(CheckContext& context, const pb::Description& image,
                         PlanReport& report) const {
  for (const auto& mark : image.fanotify().marks()) {
    if (check_type(context, mark.path(), mark.mode(), report) &&
        context.first_time("mark " + mark.path()))
      report.ok(mark.path(), "marked by fanotify");
  }
}

Result<UniqueFd> FanotifyKind::restore(RestoreContext&, const pb::Description& image) const {
  const auto& group = image.fanotify();
  UniqueFd fd(fanotify_init(group.init_flags() | FAN_CLOEXEC | FAN_NONBLOCK, group.event_flags()));
  if (!fd) return fail_errno(fmt::format("create a fanotify group ({:#x})", group.init_flags()));
  return fd;
}

Result<void> FanotifyKind::finish(RestoreContext&, const pb::Description& image, int fd) const {
  for (const auto& mark : image.fanotify().marks()) {
    const auto evictable = mark.flags() & kMarkEvictable;
    if (mark.mask() != 0) TRY(set_mark(fd, mark, evictable, mark.mask()));
    if (mark.ignored_mask() == 0) continue;
    const auto sort = (mark.flags() & kMarkIgnore) != 0 ? kMarkIgnore : FAN_MARK_IGNORED_MASK;
    const auto survives = mark.flags() & FAN_MARK_IGNORED_SURV_MODIFY;
    TRY(set_mark(fd, mark, evictable | sort | survives, mark.ignored_mask()));
  }
  return {};
}

}  // namespace cryostat::files
