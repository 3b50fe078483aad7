#include "engine/files/kinds/directory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/plan_report.h"
#include "engine/files/file_check.h"
#include "engine/files/file_place.h"
#include "engine/files/proc_place.h"
#include "engine/files/restore_context.h"
#include "engine/files/unsupported.h"

namespace cryostat::files {

bool DirectoryKind::matches(const OpenDescription& description) const {
  return S_ISDIR(description.st.st_mode) && disguised_object(description).empty();
}

Result<void> DirectoryKind::collect(CollectContext&, const OpenDescription& description,
                                    pb::Description& image) const {
  auto path = TRY(locate_present(description, "directory"));
  TRY(check_proc_place(description, path));
  image.mutable_directory()->set_path(std::move(path));
  image.mutable_directory()->set_mode(description.st.st_mode);
  return {};
}

bool DirectoryKind::owns(const pb::Description& image) const { return image.has_directory(); }

void DirectoryKind::check(CheckContext& context, const pb::Description& image,
                          PlanReport& report) const {
  const auto& directory = image.directory();
  if (is_in_task_folder(directory.path())) return;
  if (check_type(context, directory.path(), directory.mode(), report) &&
      context.first_time(directory.path()))
    report.ok(directory.path(), "directory");
}

Result<UniqueFd> DirectoryKind::restore(RestoreContext&, const pb::Description& image) const {
  return open_same_type(image.directory().path(), open_flags(image.flags()),
                        image.directory().mode());
}

}  // namespace cryostat::files
