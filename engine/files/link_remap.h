// Files that were deleted under the name they were opened by but are linked elsewhere: with
// --link-remap they get one more link beside their old name, which lasts until they are restored.
#pragma once

#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/files/open_description.h"

namespace cryostat::image {
struct FilesImage;
}

namespace cryostat::files {

// The links a dump has made; takes them away again unless it is told to keep them.
class RemapLinks {
 public:
  RemapLinks() = default;
  RemapLinks(RemapLinks&&) noexcept = default;
  RemapLinks& operator=(RemapLinks&&) noexcept = default;
  ~RemapLinks();

  // The link of this file, made the first time in the directory of `path`, where it was.
  Result<std::string> link(const OpenDescription& description, const std::string& path);
  // The checkpoint is complete and needs them.
  void keep() { links_.clear(); }

 private:
  struct Link {
    dev_t device = 0;
    ino_t inode = 0;
    std::string path;
  };
  std::vector<Link> links_;
};

// Opens the file behind `link` so that it has its old name in /proc again, deleted; by the link
// when something else is called so now.
Result<UniqueFd> open_remapped(const std::string& link, const std::string& path, uint32_t flags,
                               uint32_t mode);

// Takes the links of a checkpoint away, when everything that needed them runs. What is not there
// any more is passed over.
void remove_remap_links(const image::FilesImage& image);

}  // namespace cryostat::files
