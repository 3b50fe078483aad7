// Reads a task's descriptor table from outside and finds which numbers share an open description.
#pragma once

#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/files/open_description.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::files {

// Every open description of the task's table but those at the numbers `skipped`, numbered from 1 in
// the order of their lowest descriptors; `copy` is left empty. Identity comes from kcmp(2)
// KCMP_FILE, asked only among descriptors whose object (device, inode, type) is the same, in n log
// n comparisons. Precondition: the task's threads are stopped. Errors: kRefused when numbers may
// share a description and this kernel has no kcmp(2); kTargetGone.
Result<std::vector<OpenDescription>> read_descriptor_table(const TaskHandle& task,
                                                           std::span<const RemoteFd> skipped);

}  // namespace cryostat::files
