#include "engine/memory/parent_images.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "engine/image/checkpoint_writer.h"
#include "engine/memory/shared_memory.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

bool is_same_folder(const std::string& a, const std::string& b) {
  struct stat first;
  struct stat second;
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace

ParentImages::ParentImages(std::string path, image::Chain chain, image::MmImage mm)
    : path_(std::move(path)),
      chain_(std::make_unique<image::Chain>(std::move(chain))),
      mm_(std::move(mm)) {}

Result<ParentImages> ParentImages::open(const std::string& images_dir, const std::string& path) {
  const std::string folder = path.starts_with('/') ? path : images_dir + "/" + path;
  if (is_same_folder(folder, images_dir))
    return fail(ErrorKind::kUsage,
                fmt::format("{} can't be its own parent: the checkpoint in it would be replaced",
                            images_dir));
  auto chain = TRY(image::Chain::open(folder));
  const pb::Manifest& manifest = chain.head().manifest();
  // Processes and memory objects are known by numbers that begin anew with each start.
  if (manifest.boot_id() != image::read_boot_id())
    return fail(ErrorKind::kImages,
                fmt::format("{} was made before this machine was started", folder));
  if (chain.store_count() >= image::kMaxChainLength)
    return fail(ErrorKind::kImages, fmt::format("{}: {} checkpoints build on each other already",
                                                folder, chain.store_count()));
  auto mm = TRY(image::load_mm(chain.head()));
  return ParentImages(path, std::move(chain), std::move(mm));
}

const std::string& ParentImages::checkpoint_id() const {
  return chain_->head().manifest().checkpoint_id();
}

pb::Parent ParentImages::as_parent() const {
  pb::Parent parent;
  parent.set_path(path_);
  parent.set_checkpoint_id(checkpoint_id());
  return parent;
}

const image::AddressSpaceImage* ParentImages::space_of(const TaskHandle& task) const {
  for (const image::AddressSpaceImage& space : mm_.spaces)
    if (space.space.owner_host_pid() == task.pid().value &&
        space.space.owner_start_time_ticks() == task.start_time_ticks())
      return &space;
  return nullptr;
}

std::optional<ParentContent> ParentImages::content(const image::AddressSpaceImage& space) const {
  return ParentContent(*chain_, {pb::PageRuns::ADDRESS_SPACE, space.space.id()});
}

std::optional<ParentContent> ParentImages::content(const SharedMemoryObject& object) const {
  for (const pb::SharedMemory& known : mm_.shared)
    if (known.device() == object.device && known.inode() == object.inode)
      return ParentContent(*chain_, {pb::PageRuns::SHARED_MEMORY, known.id()});
  return std::nullopt;
}

}  // namespace cryostat::memory
