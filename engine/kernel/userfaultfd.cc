#include "engine/kernel/userfaultfd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "engine/kernel/constants.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

namespace cryostat::kernel {

// User mode only: allowed without privileges, and enough, as no fault is ever handed out.
const int kUserfaultfdFlags = O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY;

Result<void> enable_async_write_protect(int userfaultfd) {
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = kUffdFeatureWpAsync | kUffdFeatureWpUnpopulated;
  if (ioctl(userfaultfd, UFFDIO_API, &api) != 0)
    return fail_errno("switch a userfaultfd to asynchronous write-protection");
  return {};
}

Result<void> register_write_protect(int userfaultfd, RemoteAddr start, RemoteAddr end) {
  uffdio_register area{};
  area.range = {start.value, end.value - start.value};
  area.mode = UFFDIO_REGISTER_MODE_WP;
  if (ioctl(userfaultfd, UFFDIO_REGISTER, &area) != 0)
    return fail_errno(fmt::format("register {:x}-{:x} with a userfaultfd", start.value, end.value));
  return {};
}

Result<void> write_protect(int userfaultfd, RemoteAddr start, RemoteAddr end) {
  uffdio_writeprotect area{};
  area.range = {start.value, end.value - start.value};
  area.mode = UFFDIO_WRITEPROTECT_MODE_WP;
  if (ioctl(userfaultfd, UFFDIO_WRITEPROTECT, &area) != 0)
    return fail_errno(fmt::format("write-protect {:x}-{:x}", start.value, end.value));
  return {};
}

}  // namespace cryostat::kernel
