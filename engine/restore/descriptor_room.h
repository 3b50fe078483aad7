// Do the descriptors of a checkpoint, and what a restore opens beside them, fit this machine's
// limit?
#pragma once

#include "engine/base/plan_report.h"
#include "engine/files/description_groups.h"
#include "engine/image/checkpoint_images.h"
#include "engine/restore/object_owners.h"

namespace cryostat::restore {

// What cr-restore hands to every task it creates.
struct HandedDown {
  size_t page_stores = 0;  // folders of the chain
  size_t inherited = 0;    // descriptors given with --inherit-fd, and the job's terminal
};

// Adds to `report` what is missing when a task would need more descriptors at a time than the hard
// RLIMIT_NOFILE of this process lets it have (getrlimit(2)), or a number above it: its own, and
// those of files and objects that are mapped, of page data, and of open files that it opens for
// others. Changes nothing.
void check_descriptor_room(const image::CheckpointImages& images,
                           const files::DescriptionOwners& descriptions,
                           const ObjectOwners& objects, const HandedDown& handed,
                           PlanReport& report);

}  // namespace cryostat::restore
