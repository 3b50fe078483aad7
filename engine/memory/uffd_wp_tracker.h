// The tracker that write-protects pages with a userfaultfd (kernel 6.7).
#pragma once

#include "engine/base/unique_fd.h"
#include "engine/memory/dirty_tracker.h"

namespace cryostat {
class InfectedTask;
}
namespace cryostat::procfs {
struct SmapsEntry;
}

namespace cryostat::memory {

class UffdWpTracker : public DirtyTracker {
 public:
  // Makes a userfaultfd of the target's address space; it stays open in the engine alone.
  static Result<UniqueFd> create_userfaultfd(const TaskHandle& task, InfectedTask& infected);

  // `userfaultfd` is not kept.
  static Result<UffdWpTracker> open(const TaskHandle& task, int userfaultfd);

  // A page counts as unchanged when its mapping was registered with our userfaultfd before this
  // reading and its protection still stands. kRearm registers and protects everything it can.
  // Errors: kRefused when another userfaultfd has part of the memory.
  Result<std::vector<PageRange>> read(const AddressSpaceState& space, Trust trust,
                                      Arm arm) override;

 private:
  UffdWpTracker(const TaskHandle& task, int userfaultfd, UniqueFd pagemap)
      : task_(task), userfaultfd_(userfaultfd), pagemap_(std::move(pagemap)) {}

  const TaskHandle& task_;
  int userfaultfd_;
  UniqueFd pagemap_;
};

}  // namespace cryostat::memory
