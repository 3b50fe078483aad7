#include "engine/task/unsupported_state.h"

#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include <string>

#include "engine/procfs/task_handle.h"
#include "engine/ptrace/tracee.h"

namespace cryostat::task {

namespace {

constexpr uint64_t kIoPermissionSet = 0x201;  // NT_386_IOPERM

bool dispatches_to_user(Tid tid) {
  const auto dispatches = ptrace::has_syscall_user_dispatch(tid);
  return dispatches && *dispatches;
}

// The register set exists only for threads that called ioperm(2).
bool has_io_permissions(Tid tid) {
  unsigned char first[8];
  iovec buffer{first, sizeof(first)};
  return ::ptrace(PTRACE_GETREGSET, tid.value, kIoPermissionSet, &buffer) == 0 &&
         buffer.iov_len > 0;
}

}  // namespace

void refuse_task_state(const TaskHandle& task, const wire::TaskStateReport& report,
                       Refusals& refusals) {
  if (report.ldt_bytes > 0)
    refusals.add(task.pid(), "",
                 "has a local descriptor table (modify_ldt), it can't be checkpointed");
  if (report.untag_mask != ~0ull)
    refusals.add(task.pid(), "", "uses linear address masking, it can't be checkpointed");
  // Fails where no security module labels tasks.
  const auto label = task.proc().read("attr/current");
  if (!label) return;
  const auto self = ProcDir::open("/proc/self");
  if (!self) return;
  const auto own_label = self->read("attr/current");
  if (own_label && *own_label != *label)
    refusals.add(task.pid(), "",
                 fmt::format("has the security label '{}', it can't be checkpointed",
                             label->substr(0, label->find_first_of(std::string_view("\n\0", 2)))));
}

void refuse_thread_state(HostPid pid, Tid tid, const wire::ThreadStateReport& report,
                         Refusals& refusals) {
  const std::string object = fmt::format("thread {}", tid.value);
  if (report.shadow_stack != 0)
    refusals.add(pid, object, "has a shadow stack, it can't be checkpointed");
  if (dispatches_to_user(tid))
    refusals.add(pid, object, "has syscall user dispatch on, it can't be checkpointed");
  if (has_io_permissions(tid))
    refusals.add(pid, object, "has I/O port permissions, it can't be checkpointed");
}

}  // namespace cryostat::task
