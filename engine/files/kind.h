// The interface of a descriptor kind: saving and restoring one sort of kernel object side by side.
// Each kind is one file pair in engine/files/kinds/ and one line of the table in kinds.cc; how to
// add one is told in docs/howto-add-a-kind.md.
#pragma once

#include <span>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::pb {
class Description;
}

namespace cryostat::files {

class CheckContext;
class CollectContext;
class DescriptionGroups;
class RestoreContext;
struct OpenDescription;

// Kinds are stateless: what several descriptions share during one run lives in the contexts.
class DescriptorKind {
 public:
  virtual ~DescriptorKind() = default;

  // For messages: "eventfd".
  virtual std::string_view name() const = 0;

  // Dump: is this open description ours? Kinds are asked in table order; the first one takes it.
  virtual bool matches(const OpenDescription& description) const = 0;

  // Dump, target frozen: fills the `kind` of the image record; id, flags, position and owner are
  // filled by the caller. kRefused (message: the reason only, "… can't be checkpointed") becomes
  // one refusal line; every other error ends the dump.
  virtual Result<void> collect(CollectContext& context, const OpenDescription& description,
                               pb::Description& image) const = 0;

  // Restore: does this image record belong to this kind?
  virtual bool owns(const pb::Description& image) const = 0;

  // Restore, planning: adds what this description needs of the machine to the report. Changes
  // nothing.
  virtual void check(CheckContext& context, const pb::Description& image,
                     PlanReport& report) const {
    (void)context, (void)image, (void)report;
  }

  // Restore, planning: names the descriptions that have to be opened in the same task as this one,
  // or the object they have in common.
  virtual void link(const pb::Description& image, DescriptionGroups& groups) const {
    (void)image, (void)groups;
  }

  // Restore, in the task that owns it, when every task of the tree exists: makes the open
  // description again and returns a descriptor of it, at any number. Status flags (F_SETFL), owner
  // and numbers are the caller's; the position too, unless `positions_itself`.
  virtual Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const = 0;

  // Restore, second pass, in the owner: every description of its group exists
  // (RestoreContext::number_of). `fd` is a number of it, not always one of the final ones.
  virtual Result<void> finish(RestoreContext& context, const pb::Description& image, int fd) const {
    (void)context, (void)image, (void)fd;
    return {};
  }
};

// Every kind there is, in the order they are asked.
std::span<const DescriptorKind* const> descriptor_kinds();

// The kind that takes this open description; nullptr when none does (it is refused, unsupported.h).
const DescriptorKind* kind_for(const OpenDescription& description);

// The kind of an image record; nullptr for a record no kind knows.
const DescriptorKind* kind_for(const pb::Description& image);

}  // namespace cryostat::files
