#include "engine/kernel/scheduling.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace cryostat::kernel {

namespace {
constexpr int kIoprioWhoProcess = 1;  // IOPRIO_WHO_PROCESS: one thread, in spite of its name
}

Result<SchedAttr> sched_getattr(Tid tid) {
  SchedAttr attributes;
  if (syscall(SYS_sched_getattr, tid.value, &attributes, sizeof(attributes), 0) != 0) {
    return fail_errno(fmt::format("get scheduling attributes of thread {}", tid.value));
  }
  return attributes;
}

Result<void> sched_setattr(Tid tid, const SchedAttr& attributes) {
  if (syscall(SYS_sched_setattr, tid.value, &attributes, 0) != 0) {
    return fail_errno(fmt::format("set scheduling policy {} (priority {}, nice {}) of thread {}",
                                  attributes.policy, attributes.priority, attributes.nice,
                                  tid.value));
  }
  return {};
}

Result<uint32_t> ioprio_get(Tid tid) {
  const long value = syscall(SYS_ioprio_get, kIoprioWhoProcess, tid.value);
  if (value < 0) return fail_errno(fmt::format("get I/O priority of thread {}", tid.value));
  return static_cast<uint32_t>(value);
}

Result<void> ioprio_set(Tid tid, uint32_t value) {
  if (syscall(SYS_ioprio_set, kIoprioWhoProcess, tid.value, value) != 0) {
    return fail_errno(fmt::format("set I/O priority {:#x} of thread {}", value, tid.value));
  }
  return {};
}

}  // namespace cryostat::kernel
