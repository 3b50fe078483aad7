#include "engine/memory/sysv_segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/shm.h>

#include <cerrno>

#include "engine/base/ids.h"

namespace cryostat::memory {

namespace {

// procfs gives a descriptor of what is mapped.
UniqueFd open_mapping(const void* at, uint64_t size_bytes, int mode) {
  const auto start = reinterpret_cast<uint64_t>(at);
  const std::string link =
      fmt::format("/proc/self/map_files/{:x}-{:x}", start, start + page_align_up(size_bytes));
  return UniqueFd(open(link.c_str(), mode | O_CLOEXEC));
}

}  // namespace

Result<UniqueFd> open_sysv_segment(int id) {
  shmid_ds state = {};
  if (shmctl(id, IPC_STAT, &state) != 0)
    return fail_errno(fmt::format("look at System V segment {}", id));
  void* const at = shmat(id, nullptr, SHM_RDONLY);
  if (at == reinterpret_cast<void*>(-1))
    return fail_errno(fmt::format("attach System V segment {}", id));
  UniqueFd fd = open_mapping(at, state.shm_segsz, O_RDWR);
  if (!fd) fd = open_mapping(at, state.shm_segsz, O_RDONLY);
  const int error = errno;
  shmdt(at);
  if (!fd) return fail_errno(error, fmt::format("open System V segment {}", id));
  return fd;
}

}  // namespace cryostat::memory
