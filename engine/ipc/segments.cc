#include "engine/ipc/segments.h"

#include <fmt/format.h>
#include <sys/shm.h>

#include <algorithm>

#include "engine/ipc/permission.h"
#include "engine/memory/sysv_segment.h"

namespace cryostat::ipc {

namespace {

Failure failed(const char* doing, int id) {
  return fail_errno(fmt::format("{} System V segment {}", doing, id));
}

Result<uint32_t> memory_of(int id, memory::SharedMemoryTable& memory) {
  if (const uint32_t known = memory.find_sysv(id); known != 0) return known;
  const UniqueFd fd = TRY(memory::open_sysv_segment(id));
  return memory.intern(fd.get(), memory::SharedMemoryKind::kSysv, "");
}

bool is_removed(const pb::SysvSegment& segment) { return segment.removed(); }

}  // namespace

Result<void> collect_segments(memory::SharedMemoryTable& memory, pb::IpcNamespace& image) {
  for (const int id : TRY(list_objects("shm"))) {
    shmid_ds state = {};
    if (shmctl(id, IPC_STAT, &state) != 0) return failed("look at", id);
    const uint32_t object = TRY(memory_of(id, memory));
    if (memory.objects()[object - 1].hugetlb_page_size_bytes != 0)
      return fail(ErrorKind::kRefused,
                  fmt::format("System V segment {} of huge pages can't be checkpointed yet", id));
    auto& segment = *image.add_segments();
    segment.set_id(id);
    describe(state.shm_perm, *segment.mutable_permission());
    segment.set_size_bytes(state.shm_segsz);
    segment.set_shared_memory_id(object);
    segment.set_removed((state.shm_perm.mode & SHM_DEST) != 0);
    segment.set_locked((state.shm_perm.mode & SHM_LOCKED) != 0);
  }
  return {};
}

Result<void> create_segments(const pb::IpcNamespace& image) {
  for (const pb::SysvSegment& segment : image.segments()) {
    const auto& permission = segment.permission();
    TRY(create_object("shm", segment.id(), permission, [&] {
      return shmget(permission.key(), segment.size_bytes(),
                    static_cast<int>(permission.mode() & 0777) | IPC_CREAT | IPC_EXCL);
    }));
    shmid_ds state = {};
    if (shmctl(segment.id(), IPC_STAT, &state) != 0) return failed("look at", segment.id());
    fill_in(permission, state.shm_perm);
    if (shmctl(segment.id(), IPC_SET, &state) != 0) return failed("set the owner of", segment.id());
    if (segment.locked() && shmctl(segment.id(), SHM_LOCK, nullptr) != 0)
      return failed("lock", segment.id());
  }
  return {};
}

Result<void> remove_segments(const pb::IpcNamespace& image) {
  for (const pb::SysvSegment& segment : image.segments())
    if (is_removed(segment) && shmctl(segment.id(), IPC_RMID, nullptr) != 0)
      return failed("remove", segment.id());
  return {};
}

}  // namespace cryostat::ipc
