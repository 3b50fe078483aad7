// State that is looked for only to be refused by name.
#pragma once

#include "engine/base/ids.h"
#include "engine/base/refusals.h"
#include "proto/wire/parasite_state.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::task {

// A local descriptor table, linear address masking, a security label other than cr-dump's own.
void refuse_task_state(const TaskHandle& task, const wire::TaskStateReport& report,
                       Refusals& refusals);

// Shadow stack, syscall user dispatch, I/O port permissions. Precondition: the thread is stopped
// under ptrace by the caller.
void refuse_thread_state(HostPid pid, Tid tid, const wire::ThreadStateReport& report,
                         Refusals& refusals);

}  // namespace cryostat::task
