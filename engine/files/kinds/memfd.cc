#include "engine/files/kinds/memfd.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"
#include "engine/memory/shared_memory.h"

namespace cryostat::files {

namespace {
constexpr std::string_view kPrefix = "/memfd:";
constexpr std::string_view kSuffix = " (deleted)";
}  // namespace

bool MemFdKind::matches(const OpenDescription& description) const {
  // Seals: a deleted file in a real folder of that name has none to ask for, unless it is on tmpfs;
  // then it is memory as well and saved alike.
  return S_ISREG(description.st.st_mode) && description.st.st_nlink == 0 &&
         description.link.starts_with(kPrefix) && description.link.ends_with(kSuffix) &&
         fcntl(description.copy.get(), F_GET_SEALS) >= 0;
}

Result<void> MemFdKind::collect(CollectContext& context, const OpenDescription& description,
                                pb::Description& image) const {
  auto name = description.link.substr(kPrefix.size(),
                                      description.link.size() - kPrefix.size() - kSuffix.size());
  image.mutable_mem_fd()->set_shared_memory_id(TRY(context.shared_memory().intern(
      description.copy.get(), memory::SharedMemoryKind::kMemfd, std::move(name))));
  return {};
}

bool MemFdKind::owns(const pb::Description& image) const { return image.has_mem_fd(); }

Result<UniqueFd> MemFdKind::restore(RestoreContext& context, const pb::Description& image) const {
  const int object = TRY(context.inputs().shared_memory_fd(image.mem_fd().shared_memory_id()));
  // Opened anew: descriptions of one memfd each have a position of their own.
  return reopen(object, open_flags(image.flags()));
}

}  // namespace cryostat::files
