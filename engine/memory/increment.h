// What makes a dump an increment: the parent it builds on, and how the pages that differ from it
// are found.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/memory/dirty_tracker.h"
#include "engine/memory/dump_pages.h"
#include "engine/memory/parent_content.h"
#include "engine/memory/parent_images.h"
#include "engine/memory/tracker_choice.h"
#include "engine/memory/tracker_keeper.h"
#include "proto/manifest.pb.h"

namespace cryostat {
class InfectedTask;
class TaskHandle;
}  // namespace cryostat

namespace cryostat::memory {

struct AddressSpaceState;

struct IncrementOptions {
  std::string prev_images_dir;  // relative to the checkpoint's folder, or absolute; empty: none
  TrackerChoice tracker = TrackerChoice::kAuto;
  bool track_mem = false;  // track writes from this dump on
  bool verify = false;     // compare what the tracker says with the content of every page
};

// The increment of one address space, while its pages are written.
class SpaceIncrement {
 public:
  // For dump_pages(); refers to this object.
  PageChanges changes();
  // Of the pages that are to be written, when that is known before they are looked at.
  std::optional<uint64_t> bytes_to_write() const;

 private:
  friend class Increment;
  std::optional<ParentContent> content_;
  std::optional<PageList> pages_;  // nothing: everything there is
  bool compare_ = false;
  bool verify_ = false;
};

class Increment {
 public:
  // Opens the parent, before the target is frozen. A parent that can't be used is warned about, and
  // the dump becomes a full one. Errors: kUsage when the parent is the checkpoint's own folder;
  // kRefused when the tracker that was asked for is not there.
  static Result<Increment> prepare(const IncrementOptions& options, const std::string& images_dir);

  // The parent; nullptr for a full dump.
  const ParentImages* parent() const { return parent_ ? &*parent_ : nullptr; }
  // The mechanisms in use; empty when nothing is compared or tracked.
  std::string tracker() const;
  // Does the engine itself have to look at every page?
  bool compares_content() const { return compares_; }

  // For CollectOptions: is `task` under one of our trackers?
  static bool is_tracked(const TaskHandle& task);

  // Reads the tracker of one address space and arms it for the next increment, as far as that is
  // asked for; says in `space` what tracks it from now on. Warns when the parent can't be used for
  // it. The root of a tree comes first. Precondition: the task is frozen. kRefused: part of its
  // memory is another userfaultfd's.
  Result<SpaceIncrement> begin(const TaskHandle& task, InfectedTask& infected,
                               AddressSpaceState& space);

  // Sets checkpoint_id and, for an increment, parent.
  void describe(pb::Manifest& manifest) const;

 private:
  explicit Increment(const IncrementOptions& options);
  TrackerChoice read_choice(const pb::AddressSpace& before) const;
  Result<std::unique_ptr<DirtyTracker>> open_tracker(TrackerChoice choice, const TaskHandle& task,
                                                     const TrackerKeeper* keeper) const;
  bool is_fresh(const TaskHandle& task, const pb::AddressSpace& before,
                const AddressSpaceState& space, TrackerChoice choice,
                const std::optional<TrackerKeeper>& keeper) const;
  Result<std::optional<TrackerKeeper>> keeper_to_arm(const TaskHandle& task, InfectedTask& infected,
                                                     std::optional<TrackerKeeper> known);

  IncrementOptions options_;
  TrackerChoice arm_ = TrackerChoice::kNone;  // tracks from this dump on
  bool compares_ = false;
  std::string checkpoint_id_;
  std::optional<ParentImages> parent_;
  bool root_begun_ = false;
};

}  // namespace cryostat::memory
