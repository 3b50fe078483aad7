#include "engine/files/kinds/directory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/deleted_directory.h"
#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/file_check.h"
#include "engine/files/file_place.h"
#include "engine/files/proc_file.h"
#include "engine/files/restore_context.h"
#include "engine/files/unsupported.h"

namespace cryostat::files {

bool DirectoryKind::matches(const OpenDescription& description) const {
  return S_ISDIR(description.st.st_mode) && disguised_object(description).empty();
}

Result<void> DirectoryKind::collect(CollectContext& context, const OpenDescription& description,
                                    pb::Description& image) const {
  TRY(check_process_file(context, description, description.link));
  const auto place = TRY(locate_file(description));
  auto& directory = *image.mutable_directory();
  directory.set_path(place.path);
  directory.set_mode(description.st.st_mode);
  if (place.presence == Presence::kThere) return {};
  directory.set_deleted_id(context.object_id(description));
  directory.set_uid(description.st.st_uid);
  directory.set_gid(description.st.st_gid);
  return {};
}

bool DirectoryKind::owns(const pb::Description& image) const { return image.has_directory(); }

void DirectoryKind::check(CheckContext& context, const pb::Description& image,
                          PlanReport& report) const {
  const auto& directory = image.directory();
  const bool deleted = directory.deleted_id() != 0;
  const auto path = deleted ? directory_of(directory.path()) : directory.path();
  if (is_process_file(path)) return;  // comes to life with the process
  if (check_type(context, path, deleted ? S_IFDIR : directory.mode(), report) &&
      context.first_time(path))
    report.ok(path, deleted ? "directory of a deleted one" : "directory");
}

void DirectoryKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  const auto id = image.directory().deleted_id();
  if (id != 0) groups.join_object(image.id(), "deleted directory", id);
}

Result<UniqueFd> DirectoryKind::restore(RestoreContext& context,
                                        const pb::Description& image) const {
  const auto& directory = image.directory();
  const auto flags = open_flags(image.flags());
  if (directory.deleted_id() == 0) return open_same_type(directory.path(), flags, directory.mode());
  auto known = context.deleted_directories.find(directory.deleted_id());
  if (known == context.deleted_directories.end()) {
    const DirectoryAttributes attributes = {directory.mode(), directory.uid(), directory.gid()};
    auto made =
        TRY(context.keep(TRY(create_deleted_directory(directory.path(), attributes, O_RDONLY))));
    known = context.deleted_directories.emplace(directory.deleted_id(), std::move(made)).first;
  }
  return reopen(known->second.get(), flags);
}

}  // namespace cryostat::files
