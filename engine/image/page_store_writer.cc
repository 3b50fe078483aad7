#include "engine/image/page_store_writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/base/ids.h"
#include "engine/image/file_hash.h"
#include "engine/image/format.h"
#include "engine/image/record_writer.h"
#include "engine/image/write_all.h"

namespace cryostat::image {

namespace {
constexpr size_t kFlushBytes = 256 << 10;

std::string path_of(const std::string& directory, FileType type) {
  return directory + "/" + std::string(file_name(type));
}
}  // namespace

PageStoreWriter::PageStoreWriter(UniqueFd pages, UniqueFd sums, std::string directory)
    : pages_(std::move(pages)),
      sums_(std::move(sums)),
      directory_(std::move(directory)),
      hash_(std::make_unique<FileHash>()),
      summer_(pages_.get(), path_of(directory_, FileType::kPages)) {
  const FileHeader header = make_file_header(FileType::kPageSums);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  buffer_.assign(bytes, bytes + sizeof(header));
  hash_->add(bytes, sizeof(header));
  sums_size_bytes_ = sizeof(header);
}

PageStoreWriter::PageStoreWriter(PageStoreWriter&&) noexcept = default;
PageStoreWriter& PageStoreWriter::operator=(PageStoreWriter&&) noexcept = default;
PageStoreWriter::~PageStoreWriter() = default;

uint64_t PageStoreWriter::next_offset_bytes() const { return page_count_ * kPageSize; }

uint64_t PageStoreWriter::sums_xxh3() const { return hash_->value(); }

Result<void> PageStoreWriter::put_sums(std::span<const PageSum> sums) {
  const auto* first = reinterpret_cast<const uint8_t*>(sums.data());
  hash_->add(first, sums.size_bytes());
  sums_size_bytes_ += sums.size_bytes();
  buffer_.insert(buffer_.end(), first, first + sums.size_bytes());
  return buffer_.size() >= kFlushBytes ? flush_sums() : Result<void>{};
}

Result<void> PageStoreWriter::put_sums_of_written() {
  const auto sums = TRY(summer_.finish());
  return put_sums(sums);
}

Result<uint64_t> PageStoreWriter::add_written(size_t count) {
  TRY(write_deferred());
  TRY(put_sums_of_written());
  const uint64_t first = page_count_;
  summer_.start(first, count);
  page_count_ += count;
  return first;
}

Result<uint64_t> PageStoreWriter::append_pages(std::span<const uint8_t> pages) {
  if (pages.size() % kPageSize != 0)
    return fail(ErrorKind::kFailed,
                fmt::format("append {} bytes to pages.img: not whole pages", pages.size()));
  const uint64_t first = page_count_;
  if (pages.size() <= most_deferred_bytes_ - deferred_.size()) {
    deferred_.insert(deferred_.end(), pages.begin(), pages.end());
  } else {
    TRY(write_deferred());
    TRY(write_pages(pages, first));
  }
  page_count_ += pages.size() / kPageSize;
  return first;
}

void PageStoreWriter::defer_pages(size_t most_bytes) {
  most_deferred_bytes_ = most_bytes;
  // Touched here, so that it is not while the target waits.
  deferred_.resize(most_bytes);
  deferred_.clear();
}

Result<void> PageStoreWriter::write_pages(std::span<const uint8_t> pages, uint64_t first_index) {
  TRY(pwrite_all(pages_.get(), pages.data(), pages.size(), first_index * kPageSize,
                 path_of(directory_, FileType::kPages)));
  TRY(put_sums_of_written());
  std::vector<PageSum> sums;
  sums.reserve(pages.size() / kPageSize);
  for (size_t at = 0; at < pages.size(); at += kPageSize) sums.push_back(page_sum(&pages[at]));
  return put_sums(sums);
}

// What is deferred are always the last pages.
Result<void> PageStoreWriter::write_deferred() {
  if (deferred_.empty()) return {};
  TRY(write_pages(deferred_, page_count_ - deferred_.size() / kPageSize));
  deferred_.clear();
  return {};
}

Result<std::optional<uint64_t>> PageStoreWriter::find_same(const uint8_t* page, const PageSum& sum,
                                                           const uint8_t* unwritten) {
  alignas(kPageSize) uint8_t stored[kPageSize];  // aligned for O_DIRECT
  int error = 0;
  const uint64_t first_deferred = page_count_ - deferred_.size() / kPageSize;
  const uint64_t found = dedup_->find(sum, [&](uint64_t index) {
    const uint8_t* candidate = stored;
    if (index >= page_count_)
      candidate = unwritten + (index - page_count_) * kPageSize;
    else if (index >= first_deferred)
      candidate = deferred_.data() + (index - first_deferred) * kPageSize;
    else if (pread(pages_.get(), stored, kPageSize, static_cast<off_t>(index * kPageSize)) !=
             static_cast<ssize_t>(kPageSize))
      error = errno != 0 ? errno : EIO;
    return error == 0 && std::memcmp(candidate, page, kPageSize) == 0;
  });
  if (error != 0)
    return fail_errno(error, fmt::format("read {}", path_of(directory_, FileType::kPages)));
  if (found == PageIndex::kNone) return std::optional<uint64_t>();
  ++deduplicated_pages_;
  return std::optional(found);
}

Result<uint64_t> PageStoreWriter::append_pages(std::span<const uint8_t> pages,
                                               std::span<const PageSum> sums) {
  TRY(write_deferred());
  TRY(pwrite_all(pages_.get(), pages.data(), pages.size(), next_offset_bytes(),
                 path_of(directory_, FileType::kPages)));
  TRY(put_sums_of_written());
  TRY(put_sums(sums));
  const uint64_t first = page_count_;
  page_count_ += sums.size();
  return first;
}

Error PageStoreWriter::pages_write_error(int errno_value, uint64_t bytes_left) const {
  return write_error(errno_value, pages_.get(), path_of(directory_, FileType::kPages), bytes_left);
}

Result<void> PageStoreWriter::flush() {
  TRY(write_deferred());
  TRY(put_sums_of_written());
  return flush_sums();
}

Result<void> PageStoreWriter::flush_sums() {
  TRY(write_all(sums_.get(), buffer_.data(), buffer_.size(),
                path_of(directory_, FileType::kPageSums)));
  buffer_.clear();
  return {};
}

}  // namespace cryostat::image
