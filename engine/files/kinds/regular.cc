#include "engine/files/kinds/regular.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/file_check.h"
#include "engine/files/file_place.h"
#include "engine/files/link_remap.h"
#include "engine/files/proc_file.h"
#include "engine/files/restore_context.h"
#include "engine/files/unsupported.h"

namespace cryostat::files {

bool RegularKind::matches(const OpenDescription& description) const {
  return S_ISREG(description.st.st_mode) && disguised_object(description).empty();
}

Result<void> RegularKind::collect(CollectContext& context, const OpenDescription& description,
                                  pb::Description& image) const {
  TRY(check_process_file(context, description, description.link));
  const auto place = TRY(locate_file(description));
  if (place.presence == Presence::kElsewhere) {
    if (!context.options().link_remap) return refuse_elsewhere(place.path);
    image.mutable_regular()->set_remap_path(TRY(context.remap_links.link(description, place.path)));
  } else if (place.presence == Presence::kDeleted) {
    return fail(ErrorKind::kRefused,
                fmt::format("deleted file ({}) can't be checkpointed", place.path));
  }
  auto& file = *image.mutable_regular()->mutable_file();
  file.set_path(place.path);
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
  if (is_process_file(file.path())) return;
  uint64_t size_bytes = 0;
  const auto& remapped = image.regular().remap_path();
  if (!remapped.empty()) {
    if (check_type(context, remapped, file.mode(), report) && context.first_time(remapped))
      report.ok(remapped, "link of a deleted file");
    return;
  }
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
  const auto& remapped = image.regular().remap_path();
  const auto flags = open_flags(image.flags());
  if (!remapped.empty()) return open_remapped(remapped, file.path(), flags, file.mode());
  return open_same_type(file.path(), flags, file.mode());
}

}  // namespace cryostat::files
