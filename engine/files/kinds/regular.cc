#include "engine/files/kinds/regular.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include <charconv>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/file_check.h"
#include "engine/files/file_place.h"
#include "engine/files/restore_context.h"
#include "engine/files/unsupported.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::files {

namespace {

// A file below /proc/<number> belongs to a task: after a restore it exists only if it is the
// target's own, and the files of its other threads do not exist yet when descriptors are opened.
Result<void> check_proc_file(const std::string& path, HostPid pid) {
  std::string_view rest = path;
  constexpr std::string_view kProc = "/proc/";
  if (!rest.starts_with(kProc)) return {};
  rest.remove_prefix(kProc.size());
  int owner = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), owner);
  if (error != std::errc() || (end != rest.data() + rest.size() && *end != '/')) return {};
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (owner != pid.value)
    return fail(ErrorKind::kRefused,
                fmt::format("{}: a file about another process can't be checkpointed", path));
  const auto own_thread = fmt::format("/task/{}/", pid.value);
  if (rest.starts_with("/task/") && !rest.starts_with(own_thread))
    return fail(ErrorKind::kRefused,
                fmt::format("{}: a file about a thread can't be checkpointed yet", path));
  return {};
}

}  // namespace

bool RegularKind::matches(const OpenDescription& description) const {
  return S_ISREG(description.st.st_mode) && disguised_object(description).empty();
}

Result<void> RegularKind::collect(CollectContext&, const OpenDescription& description,
                                  pb::Description& image) const {
  auto path = TRY(locate_present(description, "file"));
  if (description.fs_type == PROC_SUPER_MAGIC) TRY(check_proc_file(path, description.task->pid()));
  auto& file = *image.mutable_regular()->mutable_file();
  file.set_path(std::move(path));
  file.set_device(description.st.st_dev);
  file.set_inode(description.st.st_ino);
  file.set_size_bytes(static_cast<uint64_t>(description.st.st_size));
  file.set_mode(description.st.st_mode);
  file.set_mtime_ns(description.st.st_mtim.tv_sec * 1'000'000'000 + description.st.st_mtim.tv_nsec);
  return {};
}

bool RegularKind::owns(const pb::Description& image) const {
  return image.has_regular() && image.regular().ghost_id() == 0;
}

void RegularKind::check(CheckContext& context, const pb::Description& image,
                        PlanReport& report) const {
  const auto& file = image.regular().file();
  // The target's own /proc files come to life with it.
  if (file.path().starts_with("/proc/") && file.size_bytes() == 0) return;
  uint64_t size_bytes = 0;
  if (!check_type(context, file.path(), file.mode(), report, &size_bytes)) return;
  if (size_bytes != file.size_bytes()) {
    if (context.first_time(file.path())) {
      report.missing(file.path(), fmt::format("size was {} bytes, is {} bytes now",
                                              file.size_bytes(), size_bytes));
    }
    return;
  }
  const bool writes = (image.flags() & O_ACCMODE) != O_RDONLY;
  if (faccessat(AT_FDCWD, file.path().c_str(), writes ? W_OK : R_OK, AT_EACCESS) != 0) {
    const int error = errno;
    auto failure =
        Error::from_errno(error, writes ? "was open for writing" : "was open for reading");
    if (error == EROFS || error == ETXTBSY) failure = std::move(failure).as(ErrorKind::kMachine);
    if (context.first_time(file.path())) report.missing(file.path(), failure);
    return;
  }
  if (context.first_time(file.path())) report.ok(file.path(), fmt::format("{} bytes", size_bytes));
}

Result<UniqueFd> RegularKind::restore(RestoreContext&, const pb::Description& image) const {
  const auto& file = image.regular().file();
  return open_same_type(file.path(), open_flags(image.flags()), file.mode());
}

}  // namespace cryostat::files
