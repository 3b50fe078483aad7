#include "engine/files/kinds/eventfd.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

namespace {

Result<uint64_t> read_counter(int fd) {
  uint64_t value = 0;
  if (read(fd, &value, sizeof value) != sizeof value) return fail_errno("read an eventfd");
  return value;
}

Result<void> write_counter(int fd, uint64_t value) {
  if (value == 0) return {};
  if (write(fd, &value, sizeof value) != sizeof value) return fail_errno("write an eventfd");
  return {};
}

// Gives back what was taken. Tried again: the target would feel the loss.
Result<void> put_back(int fd, uint64_t value) {
  auto done = write_counter(fd, value);
  for (int attempt = 0; attempt < 3 && !done.has_value(); ++attempt)
    done = write_counter(fd, value);
  return done;
}

// Before 6.5 fdinfo does not tell. Then only a read does: it takes 1 from a semaphore and all from
// a counter. The counter is brought to 2 at least, read, and put back; none of these calls can
// wait.
Result<bool> probe_semaphore(int fd, uint64_t count) {
  TRY(write_counter(fd, count < 2 ? 2 - count : 0));
  const auto raised = count < 2 ? 2 : count;
  const auto got = TRY(read_counter(fd));
  const bool semaphore = got == 1;
  const auto left = raised - got;
  if (left < count) {
    TRY(put_back(fd, count - left));
  } else if (left > count) {
    (void)TRY(read_counter(fd));
  }
  return semaphore;
}

}  // namespace

bool EventFdKind::matches(const OpenDescription& description) const {
  return description.anonymous_inode() == "eventfd";
}

Result<void> EventFdKind::collect(CollectContext&, const OpenDescription& description,
                                  pb::Description& image) const {
  if (!description.info.eventfd_count)
    return fail(ErrorKind::kRefused,
                "eventfd whose count this kernel does not tell can't be checkpointed");
  const auto count = *description.info.eventfd_count;
  auto& event_fd = *image.mutable_event_fd();
  event_fd.set_count(count);
  event_fd.set_semaphore(description.info.has_eventfd_semaphore
                             ? description.info.eventfd_semaphore
                             : TRY(probe_semaphore(description.copy.get(), count)));
  return {};
}

bool EventFdKind::owns(const pb::Description& image) const { return image.has_event_fd(); }

Result<UniqueFd> EventFdKind::restore(RestoreContext&, const pb::Description& image) const {
  const auto& event_fd = image.event_fd();
  const int kind = event_fd.semaphore() ? EFD_SEMAPHORE : 0;
  UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | kind));
  if (!fd) return fail_errno("create an eventfd");
  TRY(write_counter(fd.get(), event_fd.count()));
  return fd;
}

}  // namespace cryostat::files
