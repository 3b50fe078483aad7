// The descriptors of one task of a tree that is being restored: each open description is made by
// one task, its owner, and handed to the others that have it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/files/description_groups.h"
#include "engine/files/restore.h"
#include "engine/files/restore_context.h"

namespace cryostat::pb {
class DescriptorEntry;
class DescriptorTable;
}  // namespace cryostat::pb

namespace cryostat::files {

class DescriptorKind;

// Runs in the task, in three steps between which it waits for the other tasks: open_shared, fetch,
// place. Preconditions: as restore_descriptors(); every task of the tree exists.
class TaskDescriptors {
 public:
  // Everything given must outlive the object. `kImages` when there is no such table.
  static Result<TaskDescriptors> create(const image::FilesImage& image,
                                        const DescriptionOwners& owners, uint32_t table_id,
                                        const RestoreInputs& inputs);

  // Opens what this task owns and others have too. `numbers`, an element for each description id,
  // gets where each is in this task until place().
  Result<void> open_shared(std::span<int> numbers);

  // A copy of descriptor `fd` of the task that has table `table_id` (pidfd_getfd(2)).
  using Fetch = std::function<Result<UniqueFd>(uint32_t table_id, int fd)>;
  // Gets what other tasks have opened.
  Result<void> fetch(std::span<const int> numbers, const Fetch& get);

  // Opens what this task has for itself and puts everything at its numbers.
  Result<void> place();

 private:
  // Numbers of a description in this table, ascending.
  using Home = std::vector<const pb::DescriptorEntry*>;
  using Homes = std::map<uint32_t, Home>;  // by description id

  TaskDescriptors(const image::FilesImage& image, const DescriptionOwners& owners,
                  uint32_t table_id, const RestoreInputs& inputs, Homes homes,
                  const std::vector<int>& numbers);
  Result<UniqueFd> open(const DescriptorKind& kind, const pb::Description& description);
  Result<void> place_one(const pb::Description& description, const Home& entries);
  std::string describe(const pb::Description& description, const DescriptorKind& kind) const;
  // Does it for each of the descriptions, object by object; closes after each object what its
  // descriptions were opened from.
  using Step = std::function<Result<void>(const DescriptorKind&, const pb::Description&)>;
  Result<void> for_each_object(std::vector<uint32_t> ids, const Step& step);
  // The first number of a description in this table; -1: it has none.
  int home_of(uint32_t description) const;
  Result<void> finish_private();

  const image::FilesImage& image_;
  const DescriptionOwners& owners_;
  const uint32_t table_id_;
  Homes homes_;
  RestoreContext context_;
};

}  // namespace cryostat::files
