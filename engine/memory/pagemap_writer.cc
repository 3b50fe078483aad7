#include "engine/memory/pagemap_writer.h"

#include "engine/base/ids.h"
#include "engine/image/checkpoint_writer.h"

namespace cryostat::memory {

namespace {
constexpr int kRunsPerRecord = 4096;
}

PagemapWriter::PagemapWriter(image::CheckpointWriter& writer, pb::PageRuns::Owner owner,
                             uint32_t owner_id, uint32_t parent_owner_id)
    : writer_(writer) {
  record_.set_owner(owner);
  record_.set_owner_id(owner_id);
  record_.set_parent_owner_id(parent_owner_id);
}

bool PagemapWriter::extend_last(const StoredRun& run) {
  const int last = record_.address_size() - 1;
  if (last < 0) return false;
  const uint64_t pages = record_.page_count(last);
  const uint64_t index = record_.page_index(last);
  const bool is_place = index != image::kZeroPage && index != image::kInParentPage;
  if (record_.address(last) + pages * kPageSize != run.address ||
      run.page_index != (is_place ? index + pages : index) || pages + run.page_count > UINT32_MAX)
    return false;
  record_.set_page_count(last, static_cast<uint32_t>(pages + run.page_count));
  return true;
}

Result<void> PagemapWriter::add(const StoredRun& run) {
  if (extend_last(run)) return {};
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
