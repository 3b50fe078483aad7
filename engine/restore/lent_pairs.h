// Socket pairs that a task of the tree has made and others have now: SO_PEERCRED names the maker
// for ever (unix(7)), so it makes them again and gives them away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/service_fds.h"
#include "engine/files/restore.h"
#include "engine/image/checkpoint_images.h"
#include "engine/restore/sharing_role.h"

namespace cryostat::files {
class DescriptionOwners;
}

namespace cryostat::restore {

struct LentPair {
  uint32_t pair_id = 0;   // pb::UnixSocketPair
  size_t maker = 0;       // index of the task
  uint32_t to_table = 0;  // of the task that opens both ends
};

// Pairs whose maker lives and has a descriptor table, but not that of the owner.
std::vector<LentPair> plan_lent_pairs(const image::CheckpointImages& images,
                                      const files::DescriptionOwners& owners,
                                      std::span<const SharingRole> roles);

// The three steps of the tasks concerned; all tasks meet between them. `numbers`: two for each
// pair, the maker's.
Result<void> make_lent_pairs(const image::CheckpointImages& images, std::span<const LentPair> pairs,
                             size_t task, ServiceFds& service_fds, std::span<int> numbers);
Result<void> borrow_pairs(const image::CheckpointImages& images, std::span<const LentPair> pairs,
                          uint32_t table, ServiceFds& service_fds, std::span<const int> numbers,
                          files::RestoreInputs& inputs);
void give_up_lent_pairs(std::span<const LentPair> pairs, size_t task, ServiceFds& service_fds,
                        std::span<const int> numbers);

}  // namespace cryostat::restore
