// Opens a checkpoint and verifies it before anything is used.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/image/format.h"
#include "engine/image/page_sum.h"
#include "engine/image/record_reader.h"

namespace cryostat::image {

// Pages [first, first + count) of pages.img.
struct StoreRange {
  uint64_t first = 0;
  uint64_t count = 0;
};

class CheckpointReader {
 public:
  // Checks the manifest, the size of every file and the whole-file hash of every file but
  // pages.img. Errors: kImages (no such folder, empty, interrupted dump, truncated, damaged, newer
  // version) or kMachine (another architecture or page size).
  static Result<CheckpointReader> open(const std::string& directory);

  CheckpointReader(CheckpointReader&&) noexcept;
  CheckpointReader& operator=(CheckpointReader&&) noexcept;
  ~CheckpointReader();

  const pb::Manifest& manifest() const { return *manifest_; }
  const std::string& directory() const { return directory_; }
  int dir_fd() const { return dir_.get(); }

  bool has(FileType type) const;
  // kImages when the checkpoint has no such file.
  Result<RecordReader> records(FileType type) const;

  // Unpacks the pages of a compressed checkpoint into a file without a name, on `threads` threads;
  // does nothing for others, and the second time. To be called before the data of pages is read,
  // which is all that needs it. Errors: kImages, the disk is full.
  Result<void> load_pages(unsigned threads, const StopRequest& stop);
  bool packed() const { return blocks_ != nullptr; }

  // pages.img, or what stands for it, open for reading, owned by this object.
  int pages_fd() const { return pages_.get(); }
  uint64_t page_count() const { return sums_.size(); }
  // page-sums.img, likewise.
  int sums_fd() const { return sums_file_.get(); }
  // The checksum of every page of pages.img (a mapping of page-sums.img).
  std::span<const PageSum> sums() const { return sums_; }

  // Reads the pages from `first` on, and compares them with their sums: as many as `to` has room
  // for. kImages names the first one that differs. Thread-safe.
  Result<void> read_pages(uint64_t first, std::span<uint8_t> to) const;
  // Compares the data of pages [first, first + count) with their sums. kImages names the first page
  // that differs. Thread-safe.
  Result<void> verify_pages(uint64_t first, uint64_t count, const StopRequest& stop) const;
  // Many ranges, on `threads` threads (the caller's is one of them).
  Result<void> verify_pages(std::span<const StoreRange> ranges, unsigned threads,
                            const StopRequest& stop) const;

 private:
  CheckpointReader(UniqueFd dir, std::string directory, std::unique_ptr<pb::Manifest> manifest);
  Result<UniqueFd> open_file(std::string_view name, uint64_t expected_size_bytes) const;
  Result<void> verify_files();
  Result<void> load_blocks();
  Result<void> map_sums();

  UniqueFd dir_;
  std::string directory_;
  std::unique_ptr<pb::Manifest> manifest_;
  UniqueFd pages_;
  UniqueFd packed_pages_;
  std::unique_ptr<pb::PageBlocks> blocks_;  // of a compressed checkpoint
  bool unpacked_ = false;
  UniqueFd sums_file_;
  void* sums_mapping_ = nullptr;
  size_t sums_mapping_bytes_ = 0;
  std::span<const PageSum> sums_;
};

// How large the files are whose records load_images() reads; one that is not there counts as 0.
uint64_t record_bytes(const std::string& directory);

}  // namespace cryostat::image
