#include "engine/files/kinds/ghost.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/file_check.h"
#include "engine/files/file_place.h"
#include "engine/files/ghost_file.h"
#include "engine/files/restore_context.h"
#include "engine/files/unsupported.h"

namespace cryostat::files {

namespace {

// What the content takes in the image: holes take nothing.
uint64_t content_bytes(const struct stat& st) {
  const auto allocated = static_cast<uint64_t>(st.st_blocks) * 512;
  return std::min(static_cast<uint64_t>(st.st_size), allocated);
}

}  // namespace

bool GhostKind::matches(const OpenDescription& description) const {
  return S_ISREG(description.st.st_mode) && description.st.st_nlink == 0 &&
         disguised_object(description).empty();
}

Result<void> GhostKind::collect(CollectContext& context, const OpenDescription& description,
                                pb::Description& image) const {
  const auto place = TRY(locate_file(description));
  const auto shared = TRY(context.mapped_deleted_file(description, place.path));
  if (shared != 0) {
    // Mapped as well: one object, saved with the memory.
    image.mutable_mem_fd()->set_shared_memory_id(shared);
    return {};
  }
  const auto needed = content_bytes(description.st);
  if (needed > context.options().ghost_limit_bytes) {
    return fail(ErrorKind::kRefused,
                fmt::format("deleted file {} holds {} bytes, more than --ghost-limit ({} bytes)",
                            place.path, needed, context.options().ghost_limit_bytes));
  }
  auto& regular = *image.mutable_regular();
  regular.set_ghost_id(TRY(context.ghost_id(description, place.path)));
  auto& file = *regular.mutable_file();
  file.set_path(place.path);
  file.set_device(description.st.st_dev);
  file.set_inode(description.st.st_ino);
  file.set_size_bytes(static_cast<uint64_t>(description.st.st_size));
  file.set_mode(description.st.st_mode);
  return {};
}

bool GhostKind::owns(const pb::Description& image) const {
  return image.has_regular() && image.regular().ghost_id() != 0;
}

void GhostKind::check(CheckContext& context, const pb::Description& image,
                      PlanReport& report) const {
  const auto directory = directory_of(image.regular().file().path());
  if (check_type(context, directory, S_IFDIR, report) && context.first_time(directory))
    report.ok(directory, "directory of a deleted file");
}

void GhostKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  groups.join_object(image.id(), "ghost", image.regular().ghost_id());
}

Result<UniqueFd> GhostKind::restore(RestoreContext& context, const pb::Description& image) const {
  const auto& regular = image.regular();
  auto known = context.ghosts.find(regular.ghost_id());
  if (known == context.ghosts.end()) {
    const bool was_tmpfile = (image.flags() & O_TMPFILE) == O_TMPFILE;
    auto file =
        TRY(create_ghost_file(regular.file().path(), regular.ghost_id(), context.image().ghosts,
                              was_tmpfile ? Linkable::kYes : Linkable::kNo));
    auto kept = TRY(context.keep(std::move(file)));
    known = context.ghosts.emplace(regular.ghost_id(), std::move(kept)).first;
  }
  return reopen(known->second.get(), open_flags(image.flags()));
}

}  // namespace cryostat::files
