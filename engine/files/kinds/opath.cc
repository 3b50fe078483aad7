#include "engine/files/kinds/opath.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "engine/base/plan_report.h"
#include "engine/files/file_check.h"
#include "engine/files/file_place.h"
#include "engine/files/proc_file.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

bool OPathKind::matches(const OpenDescription& description) const {
  return description.is_path_only();
}

Result<void> OPathKind::collect(CollectContext& context, const OpenDescription& description,
                                pb::Description& image) const {
  auto path = TRY(locate_present(description, "file held with O_PATH"));
  TRY(check_process_file(context, description, path));
  image.mutable_o_path()->set_path(std::move(path));
  image.mutable_o_path()->set_mode(description.st.st_mode);
  return {};
}

bool OPathKind::owns(const pb::Description& image) const { return image.has_o_path(); }

void OPathKind::check(CheckContext& context, const pb::Description& image,
                      PlanReport& report) const {
  if (is_process_file(image.o_path().path())) return;  // comes to life with the process
  check_type(context, image.o_path().path(), image.o_path().mode(), report);
}

Result<UniqueFd> OPathKind::restore(RestoreContext&, const pb::Description& image) const {
  const auto& place = image.o_path();
  uint32_t flags = open_flags(image.flags());
  // The path is what was found at the end of all links: a link there is the object itself.
  if (S_ISLNK(place.mode())) flags |= O_NOFOLLOW;
  return open_same_type(place.path(), flags, place.mode());
}

}  // namespace cryostat::files
