// What the hosted child of a restore does, put together from the rooms: session, shared memory,
// mapped files, descriptors, surroundings, then the restorer's plan.
#pragma once

#include <span>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/image/checkpoint_images.h"
#include "engine/image/page_sum.h"
#include "engine/restore/hosted_child.h"
#include "engine/restore/options.h"

namespace cryostat::restore {

// The images of one task and what the child inherits from cr-restore. Must outlive the plan.
struct HostedInputs {
  const image::CheckpointImages& images;
  const image::TaskImage& task;
  const image::AddressSpaceImage& space;
  int pages_fd;                          // pages.img; the child's own number once it runs
  int sums_fd;                           // page-sums.img; likewise
  std::span<const image::PageSum> sums;  // of every page of pages.img
  int terminal_fd;                       // the job's terminal, -1: none
  uint32_t restore_threads;
};

HostedPlan make_hosted_plan(HostedInputs& inputs, VdsoChoice vdso);

}  // namespace cryostat::restore
