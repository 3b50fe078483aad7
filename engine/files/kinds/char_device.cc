#include "engine/files/kinds/char_device.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <utility>

#include "engine/base/plan_report.h"
#include "engine/files/file_check.h"
#include "engine/files/file_place.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

namespace {

constexpr unsigned kMemoryMajor = 1;  // Documentation/admin-guide/devices.txt

// Minors of the devices that keep nothing between calls.
constexpr std::array<unsigned, 5> kStatelessMinors = {3, 5, 7, 8,
                                                      9};  // null zero full random urandom

bool is_stateless(dev_t device) {
  if (major(device) != kMemoryMajor) return false;
  for (const auto known : kStatelessMinors)
    if (minor(device) == known) return true;
  return false;
}

std::string device_number(uint64_t device) {
  return fmt::format("{}:{}", major(device), minor(device));
}

}  // namespace

bool CharDeviceKind::matches(const OpenDescription& description) const {
  return S_ISCHR(description.st.st_mode) && is_stateless(description.st.st_rdev);
}

Result<void> CharDeviceKind::collect(CollectContext&, const OpenDescription& description,
                                     pb::Description& image) const {
  auto path = TRY(locate_present(description, "device node"));
  image.mutable_char_device()->set_path(std::move(path));
  image.mutable_char_device()->set_rdev(description.st.st_rdev);
  return {};
}

bool CharDeviceKind::owns(const pb::Description& image) const { return image.has_char_device(); }

void CharDeviceKind::check(CheckContext& context, const pb::Description& image,
                           PlanReport& report) const {
  const auto& device = image.char_device();
  if (!check_type(context, device.path(), S_IFCHR, report)) return;
  if (!context.first_time(device.path())) return;
  struct stat st;
  if (stat(device.path().c_str(), &st) != 0) return;
  if (st.st_rdev == device.rdev()) {
    report.ok(device.path(), "device " + device_number(device.rdev()));
  } else {
    report.missing(device.path(),
                   fmt::format("was device {}, is {} now", device_number(device.rdev()),
                               device_number(st.st_rdev)));
  }
}

Result<UniqueFd> CharDeviceKind::restore(RestoreContext&, const pb::Description& image) const {
  const auto& device = image.char_device();
  auto fd = TRY(open_same_type(device.path(), open_flags(image.flags()), S_IFCHR));
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return fail_errno(fmt::format("stat {}", device.path()));
  if (st.st_rdev != device.rdev()) {
    return fail(ErrorKind::kMachine,
                fmt::format("{} was device {}, is {} now", device.path(),
                            device_number(device.rdev()), device_number(st.st_rdev)));
  }
  return fd;
}

}  // namespace cryostat::files
