#include "engine/memory/increment.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/base/log.h"
#include "engine/base/span.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/kernel/probes.h"
#include "engine/memory/address_space.h"
#include "engine/memory/soft_dirty_tracker.h"
#include "engine/memory/uffd_wp_tracker.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

constexpr char kUffdProbe[] = "userfaultfd write-protect async";
constexpr char kSoftDirtyProbe[] = "soft-dirty";

bool watches(TrackerChoice choice) {
  return choice == TrackerChoice::kUffdWp || choice == TrackerChoice::kSoftDirty;
}

// kRefused when the kernel does not have the tracker that was asked for.
Result<void> check_available(TrackerChoice choice) {
  if (!watches(choice)) return {};
  const auto feature =
      kernel::probe(choice == TrackerChoice::kUffdWp ? kUffdProbe : kSoftDirtyProbe);
  if (feature.available) return {};
  return tl::unexpected(
      Error(ErrorKind::kRefused, fmt::format("this kernel can't track writes with {}: {}: {}",
                                             tracker_name(choice), feature.name, feature.detail))
          .with_hint("cr-check shows what it can do; --tracker=auto takes what is there"));
}

TrackerChoice best_available() {
  for (const TrackerChoice choice : {TrackerChoice::kUffdWp, TrackerChoice::kSoftDirty})
    if (check_available(choice)) return choice;
  return TrackerChoice::kHash;
}

// Does a process that was executed anew show by where its program begins? Another program in the
// same process has another address space, of which no tracker knows.
bool same_program(const pb::MmLayout& before, const pb::MmLayout& now) {
  return before.start_stack() == now.start_stack() && before.start_code() == now.start_code() &&
         before.start_brk() == now.start_brk() && before.arg_start() == now.arg_start();
}

// A plain dump of a tracked process: is all protected memory our tracker's?
Result<void> check_owner(const TaskHandle& task, const AddressSpaceState& state) {
  const auto& flags = state.write_protected;
  if (std::find(flags.begin(), flags.end(), true) == flags.end()) return {};
  const auto keeper = TRY(TrackerKeeper::find(task));
  if (!keeper) return fail(ErrorKind::kRefused, "the tracker's keeper ended during the dump");
  auto tracker = TRY(UffdWpTracker::open(task, keeper->userfaultfd()));
  TRY(tracker.read(state, Trust::kNothing, Arm::kLeave));
  return {};
}

}  // namespace

const char* tracker_name(TrackerChoice choice) {
  switch (choice) {
    case TrackerChoice::kAuto:
      return "auto";
    case TrackerChoice::kUffdWp:
      return "uffd-wp";
    case TrackerChoice::kSoftDirty:
      return "soft-dirty";
    case TrackerChoice::kHash:
      return "hash";
    case TrackerChoice::kNone:
      return "none";
  }
  return "";
}

Increment::Increment(const IncrementOptions& options)
    : options_(options), checkpoint_id_(image::random_checkpoint_id()) {}

Result<Increment> Increment::prepare(const IncrementOptions& options,
                                     const std::string& images_dir) {
  Increment increment(options);
  TRY(check_available(options.tracker));
  if (options.track_mem)
    increment.arm_ = options.tracker == TrackerChoice::kAuto ? best_available() : options.tracker;
  if (options.prev_images_dir.empty() || options.tracker == TrackerChoice::kNone) return increment;
  auto parent = ParentImages::open(images_dir, options.prev_images_dir);
  if (!parent) {
    if (parent.error().kind() == ErrorKind::kUsage)
      return tl::unexpected(std::move(parent).error());
    log::warn("no increment, everything is saved: {}", parent.error().message());
    return increment;
  }
  increment.parent_.emplace(std::move(*parent));
  increment.compares_ = options.verify;
  for (const auto& space : increment.parent_->spaces())
    if (increment.read_choice(space.space) == TrackerChoice::kHash) increment.compares_ = true;
  return increment;
}

std::string Increment::tracker() const {
  if (options_.prev_images_dir.empty() && !options_.track_mem) return "";
  if (arm_ != TrackerChoice::kNone) return tracker_name(arm_);
  return tracker_name(options_.tracker == TrackerChoice::kAuto && compares_ ? TrackerChoice::kHash
                                                                            : options_.tracker);
}

// How the changes since the parent are found.
TrackerChoice Increment::read_choice(const pb::AddressSpace& before) const {
  if (options_.tracker != TrackerChoice::kAuto) return options_.tracker;
  for (const TrackerChoice choice : {TrackerChoice::kUffdWp, TrackerChoice::kSoftDirty})
    if (before.tracker().name() == tracker_name(choice)) return choice;
  return TrackerChoice::kHash;
}

bool Increment::is_tracked(const TaskHandle& task) {
  const auto keeper = TrackerKeeper::find(task);
  return keeper && keeper->has_value() && (*keeper)->userfaultfd() >= 0;
}

Result<std::unique_ptr<DirtyTracker>> Increment::open_tracker(TrackerChoice choice,
                                                              const TaskHandle& task,
                                                              const TrackerKeeper* keeper) const {
  if (choice == TrackerChoice::kUffdWp && keeper != nullptr)
    return std::make_unique<UffdWpTracker>(TRY(UffdWpTracker::open(task, keeper->userfaultfd())));
  if (choice == TrackerChoice::kSoftDirty) return std::make_unique<SoftDirtyTracker>(task);
  return std::make_unique<NoTracker>(task);
}

// Does the tracker know what was written since the parent? Says why not.
bool Increment::is_fresh(const TaskHandle& task, const pb::AddressSpace& before,
                         const AddressSpaceState& space, TrackerChoice choice,
                         const std::optional<TrackerKeeper>& keeper) const {
  const auto stale = [&](std::string_view why) {
    log::warn("pid {}: everything is saved: {}", task.pid().value, why);
    return false;
  };
  if (!before.has_tracker()) return stale("writes since the parent checkpoint were not tracked");
  if (!keeper) return stale("the tracker was lost: its keeper is gone");
  if (keeper->info().tracker != choice) return stale("another tracker was begun since the parent");
  if (keeper->info().checkpoint_id != parent_->checkpoint_id())
    return stale("the tracker was begun anew since the parent checkpoint");
  if (!same_program(before.layout(), space.space.layout()))
    return stale("the process runs another program since the parent checkpoint");
  return true;
}

// What holds the tracker from now on: the keeper there is, or a new one.
Result<std::optional<TrackerKeeper>> Increment::keeper_to_arm(const TaskHandle& task,
                                                              InfectedTask& infected,
                                                              std::optional<TrackerKeeper> known) {
  if (!watches(arm_)) return std::nullopt;
  if (known && known->info().tracker != arm_) {
    TRY(known->end());
    known.reset();
  }
  if (!known) {
    UniqueFd userfaultfd;
    if (arm_ == TrackerChoice::kUffdWp)
      userfaultfd = TRY(UffdWpTracker::create_userfaultfd(task, infected));
    known = TRY(TrackerKeeper::start(task, arm_, std::move(userfaultfd)));
  }
  // From here on the tracker belongs to this checkpoint, even if it is never completed.
  TRY(known->set_checkpoint(checkpoint_id_));
  return known;
}

Result<SpaceIncrement> Increment::begin(const TaskHandle& task, InfectedTask& infected,
                                        AddressSpaceState& state) {
  SpaceIncrement increment;
  if (!parent_ && !watches(arm_)) {
    TRY(check_owner(task, state));
    return increment;
  }
  const Span span("track");
  const image::AddressSpaceImage* const before = parent_ ? parent_->space_of(task) : nullptr;
  const bool is_root = std::exchange(root_begun_, true) == false;
  if (parent_ && before == nullptr && is_root)
    log::warn("pid {}: everything is saved: the parent checkpoint {} has another process",
              task.pid().value, options_.prev_images_dir);
  else if (parent_ && before == nullptr)
    log::info("pid {}: not in the parent checkpoint, all of it is saved", task.pid().value);
  const auto choice = before != nullptr ? read_choice(before->space) : arm_;

  const HostPid hint(before != nullptr ? before->space.tracker().keeper_pid() : 0);
  auto keeper = TRY(TrackerKeeper::find(task, hint));
  const bool fresh =
      before != nullptr && watches(choice) && is_fresh(task, before->space, state, choice, keeper);
  // A tracker of an address space that is no more is of no use.
  if (keeper && before != nullptr && !same_program(before->space.layout(), state.space.layout())) {
    TRY(keeper->end());
    keeper.reset();
  }
  std::vector<PageRange> pages;
  bool read = false;
  if (fresh && choice != arm_) {
    const auto tracker = TRY(open_tracker(choice, task, &*keeper));
    pages = TRY(tracker->read(state, Trust::kUnchanged, Arm::kLeave));
    read = true;
  }
  auto armed = TRY(keeper_to_arm(task, infected, std::move(keeper)));
  if (armed) {
    const auto tracker = TRY(open_tracker(arm_, task, &*armed));
    auto now = TRY(tracker->read(
        state, fresh && choice == arm_ ? Trust::kUnchanged : Trust::kNothing, Arm::kRearm));
    if (!read) pages = std::move(now);
    read = true;
    pb::Tracker& record = *state.space.mutable_tracker();
    record.set_name(tracker_name(arm_));
    record.set_keeper_pid(armed->info().pid.value);
    record.set_keeper_start_time_ticks(armed->info().start_time_ticks);
  }
  if (read) increment.pages_.emplace(std::move(pages));
  if (before != nullptr && (fresh || choice == TrackerChoice::kHash)) {
    increment.content_ = parent_->content(*before);
    increment.compare_ = choice == TrackerChoice::kHash || options_.verify;
    increment.verify_ = options_.verify;
  }
  return increment;
}

PageChanges SpaceIncrement::changes() {
  PageChanges changes;
  if (pages_) changes.finder = &*pages_;
  if (!content_) return changes;
  changes.parent = compare_ ? &*content_ : nullptr;
  changes.parent_owner_id = content_->owner_id();
  changes.verify = verify_;
  return changes;
}

std::optional<uint64_t> SpaceIncrement::bytes_to_write() const {
  if (!pages_ || compare_ || verify_) return std::nullopt;
  return pages_->changed_bytes();
}

void Increment::describe(pb::Manifest& manifest) const {
  manifest.set_checkpoint_id(checkpoint_id_);
  if (parent_) *manifest.mutable_parent() = parent_->as_parent();
}

}  // namespace cryostat::memory
