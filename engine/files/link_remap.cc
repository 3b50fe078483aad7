#include "engine/files/link_remap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/log.h"
#include "engine/base/unbroken.h"
#include "engine/files/file_check.h"
#include "engine/files/file_place.h"
#include "engine/image/files_image.h"

namespace cryostat::files {

RemapLinks::~RemapLinks() {
  for (const auto& link : links_)
    if (unlink(link.path.c_str()) != 0) log::warn("{} is left behind", link.path);
}

Result<std::string> RemapLinks::link(const OpenDescription& description, const std::string& path) {
  const auto& st = description.st;
  for (const auto& link : links_)
    if (link.device == st.st_dev && link.inode == st.st_ino) return link.path;
  const auto source = fmt::format("/proc/self/fd/{}", description.copy.get());
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto name = fmt::format("{}/link_remap.{}.{}", directory_of(path), st.st_ino, attempt);
    if (linkat(AT_FDCWD, source.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      links_.push_back({st.st_dev, st.st_ino, name});
      return name;
    }
    if (errno != EEXIST)
      return fail(ErrorKind::kRefused, fmt::format("{} was deleted and can't be linked as {} ({})",
                                                   path, name, errno_name(errno)));
  }
  return fail(ErrorKind::kRefused, fmt::format("no free name to link {} to", path));
}

Result<UniqueFd> open_remapped(const std::string& link, const std::string& path, uint32_t flags,
                               uint32_t mode) {
  bool linked = false;
  Result<UniqueFd> fd;
  int unlink_error = 0;
  run_unbroken([&] {
    // link(2) fails where anything is called so: nothing is replaced.
    linked = ::link(link.c_str(), path.c_str()) == 0;
    if (!linked) return;
    fd = open_same_type(path, flags, mode);
    if (unlink(path.c_str()) != 0) unlink_error = errno;
  });
  if (!linked) return open_same_type(link, flags, mode);
  if (unlink_error != 0) return fail_errno(unlink_error, fmt::format("unlink {}", path));
  return fd;
}

void remove_remap_links(const image::FilesImage& image) {
  for (const auto& description : image.descriptions) {
    const auto& link = description.regular().remap_path();
    if (link.empty()) continue;
    if (unlink(link.c_str()) != 0 && errno != ENOENT) log::warn("{} is left behind", link);
  }
}

}  // namespace cryostat::files
