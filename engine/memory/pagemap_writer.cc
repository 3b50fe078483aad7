#include "engine/memory/pagemap_writer.h"

#include "engine/image/checkpoint_writer.h"

namespace cryostat::memory {

namespace {
constexpr int kRunsPerRecord = 4096;
}

PagemapWriter::PagemapWriter(image::CheckpointWriter& writer, pb::PageRuns::Owner owner,
                             uint32_t owner_id)
    : writer_(writer) {
  record_.set_owner(owner);
  record_.set_owner_id(owner_id);
}

Result<void> PagemapWriter::add(const StoredRun& run) {
  record_.add_address(run.address);
  record_.add_page_count(run.page_count);
  record_.add_page_index(run.page_index);
  return record_.address_size() < kRunsPerRecord ? Result<void>{} : flush();
}

Result<void> PagemapWriter::flush() {
  if (record_.address_size() == 0) return {};
  TRY(writer_.append(image::FileType::kPagemap, record_));
  record_.clear_address();
  record_.clear_page_count();
  record_.clear_page_index();
  return {};
}

}  // namespace cryostat::memory
