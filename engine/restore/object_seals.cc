#include "engine/restore/object_seals.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "engine/kernel/pidfd.h"
#include "engine/memory/shared_memory_fds.h"

namespace cryostat::restore {

Result<ObjectSeals> ObjectSeals::take(const image::CheckpointImages& images,
                                      const ObjectOwners& owners, const Rendezvous& rendezvous) {
  ObjectSeals seals;
  for (const pb::SharedMemory& object : images.mm.shared) {
    if (!memory::is_sealed_last(images.mm, object) || !owners.is_used(object.id())) continue;
    const pid_t pid = images.tasks.tasks[owners.owner(object.id())].task.pid();
    const UniqueFd process = TRY(kernel::pidfd_open(HostPid(pid)));
    UniqueFd path = TRY_IN(
        kernel::pidfd_getfd(process.get(), RemoteFd(rendezvous.object_numbers()[object.id()])),
        fmt::format("take memfd `{}` of task {}", object.name(), pid));
    seals.objects_.push_back({std::move(path), object.seals(), object.name()});
  }
  return seals;
}

Result<void> ObjectSeals::set() const {
  for (const Sealed& object : objects_) {
    const UniqueFd fd(
        open(fmt::format("/proc/self/fd/{}", object.path.get()).c_str(), O_RDWR | O_CLOEXEC));
    if (!fd || fcntl(fd.get(), F_ADD_SEALS, object.seals) != 0)
      return fail_errno(fmt::format("seal memfd `{}`", object.name));
  }
  return {};
}

}  // namespace cryostat::restore
