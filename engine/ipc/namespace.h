// The IPC namespace of a target that does not live in cr-dump's own: saved with everything in it,
// created anew at a restore.
#pragma once

#include <span>

#include "engine/base/error.h"
#include "engine/base/plan_report.h"
#include "engine/base/refusals.h"
#include "engine/memory/shared_memory.h"
#include "engine/procfs/task_handle.h"
#include "proto/ipc.pb.h"

namespace cryostat::ipc {

// Whether the root of the target lives in another IPC namespace than the caller, which is saved
// with it then.
Result<bool> is_of_target(const TaskHandle& root);

// Refuses every task that is not in the IPC namespace of the first.
Result<void> check_members(std::span<const TaskHandle* const> tasks, Refusals& refusals);

// The settings and all objects of the namespace. Precondition: the address spaces of the tasks were
// collected, so `memory` knows the attached segments.
Result<void> collect_namespace(const TaskHandle& root, memory::SharedMemoryTable& memory,
                               Refusals& refusals, pb::IpcNamespace& image);

// What a restore needs of this machine.
void check_namespace(const pb::IpcNamespace& image, PlanReport& report);

// Fills a new namespace, in which the caller is.
Result<void> fill_namespace(const pb::IpcNamespace& image);

// When every segment is attached again; `proc_fd`: of a process in it.
Result<void> finish_namespace(const pb::IpcNamespace& image, int proc_fd);

}  // namespace cryostat::ipc
