// What the hosted part of a restored task does, put together from the rooms: shared memory, mapped
// files, descriptors, surroundings, then the restorer's plan. What several tasks have is made by
// one of them and fetched by the others.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/files/description_groups.h"
#include "engine/files/external.h"
#include "engine/image/checkpoint_images.h"
#include "engine/memory/staged_memory.h"
#include "engine/memory/store_files.h"
#include "engine/restore/hosted_child.h"
#include "engine/restore/lent_connections.h"
#include "engine/restore/lent_pairs.h"
#include "engine/restore/object_owners.h"
#include "engine/restore/options.h"

namespace cryostat::restore {

// Descriptors the tasks inherit from cr-restore. Each task has its own copy, in which they become
// its own numbers.
struct HandedFds {
  std::vector<memory::StoreFiles> stores;  // of the chain
  int terminal_fd = -1;                    // the job's terminal, -1: none
  files::InheritedFds inherited;
  // Masters of pseudoterminals that exist already, by the description of the master.
  std::map<uint32_t, int> pty_masters;
};

// The images, what the tasks are to each other and what they inherit. Must outlive the plans.
struct HostedInputs {
  const image::CheckpointImages& images;
  const files::DescriptionOwners& descriptions;
  const ObjectOwners& objects;
  const Rendezvous& rendezvous;
  uint32_t live_tasks;
  uint32_t restore_threads;
  const std::vector<SharingRole>& roles;
  HandedFds handed;
  // What a process has of its memory when it is born; nullptr: nothing.
  memory::StagedMemory* staged = nullptr;
  std::vector<LentPair> lent_pairs = {};
  LentConnections lent_connections = {};
  std::string unix_room = {};                              // files::BoundNames::room()
  std::unordered_map<uint32_t, pid_t> table_leaders = {};  // by descriptor table
  bool is_plain = false;  // BirthInputs::is_plain: not everybody waits for all others everywhere

  // Two for each lent pair.
  std::span<int> lent_numbers() const {
    return rendezvous.description_numbers().subspan(images.files.descriptions.size() + 1,
                                                    2 * lent_pairs.size());
  }
  std::span<int> connection_words() const {
    return rendezvous.description_numbers().subspan(
        images.files.descriptions.size() + 1 + 2 * lent_pairs.size(), lent_connections.words());
  }
  bool lends() const { return !lent_pairs.empty() || !lent_connections.empty(); }
};

// Puts what others will inherit into the memory of the process of a birth.
Result<void> stage_memory(const HostedInputs& inputs, size_t birth);

// `task`: index of a live task. The plan refers to nothing of other tasks' plans.
HostedPlan make_hosted_plan(const HostedInputs& inputs, size_t task, VdsoChoice vdso);

}  // namespace cryostat::restore
