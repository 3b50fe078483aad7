#include "engine/files/kinds/signalfd.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

bool SignalFdKind::matches(const OpenDescription& description) const {
  return description.anonymous_inode() == "signalfd";
}

Result<void> SignalFdKind::collect(CollectContext&, const OpenDescription& description,
                                   pb::Description& image) const {
  if (!description.info.signalfd_mask)
    return fail(ErrorKind::kRefused,
                "signalfd whose mask this kernel does not tell can't be checkpointed");
  image.mutable_signal_fd()->set_mask(*description.info.signalfd_mask);
  return {};
}

bool SignalFdKind::owns(const pb::Description& image) const { return image.has_signal_fd(); }

Result<UniqueFd> SignalFdKind::restore(RestoreContext&, const pb::Description& image) const {
  const uint64_t mask = image.signal_fd().mask();  // the kernel's sigset_t: bit n-1 is signal n
  UniqueFd fd(static_cast<int>(syscall(SYS_signalfd4, -1, &mask, sizeof mask, O_CLOEXEC)));
  if (!fd) return fail_errno("create a signalfd");
  return fd;
}

}  // namespace cryostat::files
