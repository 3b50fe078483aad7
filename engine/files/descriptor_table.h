// Reads descriptor tables from outside and finds which numbers share an open description, within a
// task and between tasks.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/files/open_description.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::files {

// Every open description of the tasks' tables but those at the numbers `skipped` (of the first
// task, for tests), numbered from 1 in the order of their first slots; `copy` is left empty.
// Identity comes from kcmp(2) KCMP_FILE, asked only among descriptors whose object (device, inode,
// type) is the same, in n log n comparisons. `tasks` must outlive the result. Precondition: the
// tasks' threads are stopped. Errors: kRefused when numbers may share a description and this kernel
// has no kcmp(2); kTargetGone.
// `leads`: of several tasks with one table, the one that it is read from.
Result<std::vector<OpenDescription>> read_descriptor_tables(
    std::span<const TaskHandle* const> tasks, std::span<const RemoteFd> skipped,
    const std::function<bool(size_t task)>& leads = [](size_t) { return true; });

// One number of a task, of no table (kNoTable), as a description without an id.
Result<OpenDescription> read_descriptor(const TaskHandle& task, int fd);

}  // namespace cryostat::files
