#include "engine/image/checkpoint_images.h"

#include <fmt/format.h>

#include "engine/base/ids.h"
#include "engine/base/span.h"
#include "engine/image/chain.h"
#include "proto/manifest.pb.h"

namespace cryostat::image {

namespace {

Failure inconsistent(std::string what) {
  return fail(ErrorKind::kImages, fmt::format("the images contradict each other: {}", what));
}

Result<void> check_tasks(const CheckpointImages& images, const pb::Manifest& manifest) {
  const auto& tasks = images.tasks.tasks;
  if (manifest.pids_size() != static_cast<int>(tasks.size()) ||
      manifest.root_pid() != tasks.front().task.pid())
    return inconsistent("the manifest names other tasks than tasks.img");
  for (size_t i = 0; i < tasks.size(); ++i) {
    const pb::Task& task = tasks[i].task;
    if (manifest.pids(static_cast<int>(i)) != task.pid())
      return inconsistent("the manifest names other tasks than tasks.img");
    if (task.has_zombie()) continue;
    if (images.mm.space(task.address_space_id()) == nullptr)
      return inconsistent(fmt::format("pid {} has no address space", task.pid()));
    if (images.files.table(task.descriptor_table_id()) == nullptr)
      return inconsistent(fmt::format("pid {} has no descriptor table", task.pid()));
  }
  return {};
}

Result<void> check_memfds(const CheckpointImages& images) {
  for (const auto& description : images.files.descriptions)
    if (description.has_mem_fd() &&
        images.mm.shared_memory(description.mem_fd().shared_memory_id()) == nullptr)
      return inconsistent(
          fmt::format("description {} is a memfd without content", description.id()));
  return {};
}

// Every run lies in one or several mappings without a gap between them. Both lists ascend.
Result<void> check_space_runs(const AddressSpaceImage& space, const std::vector<PageRun>& runs) {
  auto vma = space.vmas.begin();
  for (const PageRun& run : runs) {
    uint64_t covered = run.address;
    const uint64_t end = run.address + uint64_t{run.page_count} * kPageSize;
    while (covered < end) {
      while (vma != space.vmas.end() && vma->end() <= covered) ++vma;
      if (vma == space.vmas.end() || vma->start() > covered)
        return inconsistent(fmt::format("page {:x} belongs to no mapping", covered));
      covered = vma->end();
    }
  }
  return {};
}

Result<void> check_runs(const CheckpointImages& images) {
  for (const auto& [owner, runs] : images.pagemap.owners) {
    const auto& [type, id] = owner;
    if (type == pb::PageRuns::ADDRESS_SPACE) {
      const auto* space = images.mm.space(id);
      if (space == nullptr) return inconsistent(fmt::format("pages of address space {}", id));
      TRY(check_space_runs(*space, runs));
      continue;
    }
    const auto* shared = images.mm.shared_memory(id);
    if (shared == nullptr) return inconsistent(fmt::format("pages of shared memory {}", id));
    if (runs.empty()) continue;
    const uint64_t end = runs.back().address + uint64_t{runs.back().page_count} * kPageSize;
    if (end > page_align_up(shared->size_bytes()))
      return inconsistent(fmt::format("shared memory {} has pages past its end", id));
  }
  return {};
}

}  // namespace

Result<CheckpointImages> load_images(const Chain& chain) {
  const Span span("image.load");
  const CheckpointReader& reader = chain.head();
  if (reader.manifest().pre_dump())
    return tl::unexpected(
        Error(ErrorKind::kRefused,
              fmt::format("{} is a pre-dump: it holds memory, no processes", reader.directory()))
            .with_hint("restore the checkpoint that cr-dump made with --prev-images-dir"));
  CheckpointImages images;
  images.tasks = TRY(load_tasks(reader));
  images.mm = TRY(load_mm(reader));
  images.files = TRY(load_files(reader));
  images.pagemap = chain.pagemap();
  TRY(check_tasks(images, reader.manifest()));
  TRY(check_memfds(images));
  TRY(check_runs(images));
  return images;
}

}  // namespace cryostat::image
