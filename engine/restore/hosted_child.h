// The hosted part of a restored task's life: ordinary C++ in a fork of cr-restore that is born into
// its tree, prepares everything that does not need the old address space, then enters the restorer
// blob.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/service_fds.h"
#include "engine/base/wire_arena.h"
#include "engine/restore/births.h"
#include "engine/restore/child_channel.h"
#include "engine/restore/vdso_move.h"
#include "proto/wire/restorer.h"

namespace cryostat::restore {

// What the steps of one hosted child share.
struct ChildContext {
  ServiceFds& service_fds;  // for every descriptor that must live until the blob is done
};

// One thing to do in the child, in order; `name` becomes the context of its error.
struct HostedStep {
  std::string name;
  std::function<Result<void>(ChildContext&)> run;
};

struct AddressRange {
  uint64_t start = 0;  // [start, end)
  uint64_t end = 0;
};

// All the child is asked to do. Plain data and callbacks.
struct HostedPlan {
  std::vector<int> target_fds;              // every descriptor number of the target
  std::vector<AddressRange> target_ranges;  // every VMA of the target, any order
  VdsoChoice vdso;                          // choose_vdso()
  // Descriptors of the parent that a step or the blob needs; each is moved to a service number
  // before the first step, and the variable behind the pointer gets the new number in the child.
  // Every other inherited descriptor is closed before the first step.
  std::vector<int*> keep_fds;
  std::vector<HostedStep> steps;
  // When everything else is prepared, also by the tasks that share something with this one.
  std::vector<HostedStep> last_steps;
  // Fills plan.memory, plan.task and plan.threads (tid and state of each, leader first). The rest
  // of the plan is filled by launch. The arena already holds a RestorerPlan's worth of bytes at
  // offset 0.
  std::function<Result<void>(ChildContext&, WireArena&, wire::RestorerPlan&)> fill_plan;
};

// All tasks of a tree.
struct HostedTree {
  BirthInputs births;
  // The plan of a live task. Called in the task: what the plans of all take is not inherited by
  // all.
  std::function<HostedPlan(size_t task)> make_plan;
  uint32_t live_tasks = 0;
  std::vector<SharingRole> roles;  // of the tasks; what `births` refers to
};

// The root's main function: waits for "go", is born, does the steps, fills the plan and enters the
// blob. Never returns; on an error the error goes to the channel and the child exits. The others
// begin with their birth.
[[noreturn]] void hosted_child_main(ChildChannel channel, const HostedTree& tree);

}  // namespace cryostat::restore
