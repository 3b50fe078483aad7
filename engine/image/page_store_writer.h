// Page data of a checkpoint being written: pages.img and page-sums.img, growing at the end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/image/page_index.h"
#include "engine/image/page_sum.h"
#include "engine/image/page_summer.h"

namespace cryostat::image {

class FileHash;

// Page data may be written by others (the parasite) straight into pages_fd(), at
// next_index() × 4096; add_written() then tells how much lies there. Pages must end up without
// gaps.
class PageStoreWriter {
 public:
  PageStoreWriter(UniqueFd pages, UniqueFd sums, std::string directory);
  PageStoreWriter(PageStoreWriter&&) noexcept;
  PageStoreWriter& operator=(PageStoreWriter&&) noexcept;
  ~PageStoreWriter();

  // Open for reading and writing, close-on-exec; owned by this object.
  int pages_fd() const { return pages_.get(); }
  // Index of the next page to be added; its byte offset in pages.img is index × 4096.
  uint64_t next_index() const { return page_count_; }
  uint64_t next_offset_bytes() const;

  // Declares `count` pages, already written to pages_fd() at next_offset_bytes(), and moves
  // next_index() past them. Returns the index of the first one. They are hashed while the next ones
  // are being written.
  Result<uint64_t> add_written(size_t count);

  // From now on append_pages() keeps pages in memory, up to `most_bytes` of them: they are hashed
  // and written when more come or at the flush. A small dump has its target run by then.
  void defer_pages(size_t most_bytes);

  // Writes whole pages (size a multiple of 4096) at the end and adds their sums. Returns the index
  // of the first one.
  Result<uint64_t> append_pages(std::span<const uint8_t> pages);

  // Pages that are alike are to be stored once. Whoever appends pages asks find_same() first and
  // tells remember() what was stored; the parasite does not, so it can't be the one who writes.
  void enable_dedup() { dedup_.emplace(); }
  bool dedups() const { return dedup_.has_value(); }
  // The index of a stored page with these bytes (compared, not only by sum), or nullopt. A page
  // that is about to be appended is looked for in `unwritten`, which starts at next_index().
  Result<std::optional<uint64_t>> find_same(const uint8_t* page, const PageSum& sum,
                                            const uint8_t* unwritten);
  void remember(const PageSum& sum, uint64_t index) { dedup_->add(sum, index); }
  // Pages for which find_same() found another one.
  uint64_t deduplicated_pages() const { return deduplicated_pages_; }

  // The same with sums that are known already, one for each page.
  Result<uint64_t> append_pages(std::span<const uint8_t> pages, std::span<const PageSum> sums);

  // An error of a write to pages.img made by someone else, with path and hint; `bytes_left` is what
  // was still to be written.
  Error pages_write_error(int errno_value, uint64_t bytes_left) const;

  // Writes what was kept back: deferred pages, sums. Called by CheckpointWriter::commit().
  Result<void> flush();
  int sums_fd() const { return sums_.get(); }
  uint64_t sums_size_bytes() const { return sums_size_bytes_; }
  uint64_t sums_xxh3() const;

 private:
  // The sums of the last pages, which are the next of the file.
  Result<void> put_sums(std::span<const PageSum> sums);
  Result<void> put_sums_of_written();
  Result<void> write_pages(std::span<const uint8_t> pages, uint64_t first_index);
  Result<void> write_deferred();
  Result<void> flush_sums();

  UniqueFd pages_;
  UniqueFd sums_;
  std::string directory_;
  std::vector<uint8_t> buffer_;
  std::unique_ptr<FileHash> hash_;
  PageSummer summer_;
  std::optional<PageIndex> dedup_;
  uint64_t deduplicated_pages_ = 0;
  uint64_t page_count_ = 0;  // with those deferred
  std::vector<uint8_t> deferred_;
  size_t most_deferred_bytes_ = 0;
  uint64_t sums_size_bytes_ = 0;
};

}  // namespace cryostat::image
