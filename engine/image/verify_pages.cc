// Page data against page sums (CheckpointReader::verify_*).
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/span.h"
#include "engine/image/checkpoint_reader.h"
#include "proto/manifest.pb.h"

namespace cryostat::image {

namespace {

// Small enough to stay in a core's own cache between the copy and the hash.
constexpr uint64_t kChunkPages = 64;
// What a thread takes at a time.
constexpr uint64_t kSharePages = 4096;

// Reads all bytes at offset; false with errno set (0 at end of file) otherwise.
bool read_at(int fd, uint8_t* buffer, size_t size, uint64_t offset) {
  while (size > 0) {
    const ssize_t got = pread(fd, buffer, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = 0;
    if (got <= 0) return false;
    buffer += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

Result<void> CheckpointReader::read_pages(uint64_t first, std::span<uint8_t> to) const {
  const std::string path = fmt::format("{}/{}", directory_, file_name(FileType::kPages));
  const uint64_t count = to.size() / kPageSize;
  if (first > page_count() || count > page_count() - first)
    return fail(ErrorKind::kImages, fmt::format("{}: pages {}+{} are past its end ({} pages)", path,
                                                first, count, page_count()));
  if (!read_at(pages_.get(), to.data(), to.size(), first * kPageSize)) {
    if (errno != 0) return fail_errno(fmt::format("read {}", path));
    return fail(ErrorKind::kImages, fmt::format("{}: truncated while it was being read", path));
  }
  for (uint64_t i = 0; i < count; ++i)
    if (page_sum(&to[i * kPageSize]) != sums_[first + i])
      return fail(ErrorKind::kImages,
                  fmt::format("{}: byte {}: damaged: checksum mismatch in page {}", path,
                              (first + i) * kPageSize, first + i));
  return {};
}

Result<void> CheckpointReader::verify_pages(uint64_t first, uint64_t count,
                                            const StopRequest& stop) const {
  Span span("image.verify_pages");
  span.add_bytes(count * kPageSize);
  std::vector<uint8_t> buffer(std::min(kChunkPages, count) * kPageSize);
  for (uint64_t done = 0; done < count;) {
    const uint64_t pages = std::min(kChunkPages, count - done);
    TRY(read_pages(first + done, std::span(buffer).first(pages * kPageSize)));
    done += pages;
    if (done % (16 * kChunkPages) == 0) TRY(stop.check());
  }
  return {};
}

Result<void> CheckpointReader::verify_pages(std::span<const StoreRange> ranges, unsigned threads,
                                            const StopRequest& stop) const {
  std::vector<StoreRange> shares;
  for (const StoreRange& range : ranges)
    for (uint64_t done = 0; done < range.count; done += kSharePages)
      shares.push_back({range.first + done, std::min(kSharePages, range.count - done)});
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::optional<Error> first_error;
  const auto work = [&] {
    for (;;) {
      const size_t mine = next.fetch_add(1, std::memory_order_relaxed);
      if (mine >= shares.size()) return;
      auto verified = verify_pages(shares[mine].first, shares[mine].count, stop);
      if (verified) continue;
      next.store(shares.size(), std::memory_order_relaxed);
      const std::lock_guard lock(mutex);
      if (!first_error) first_error.emplace(std::move(verified).error());
      return;
    }
  };
  const auto useful =
      static_cast<unsigned>(std::clamp<size_t>(shares.size(), 1, std::max(threads, 1u)));
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < useful; ++i) helpers.emplace_back(work);
  work();
  for (auto& helper : helpers) helper.join();
  if (first_error) return tl::unexpected(std::move(*first_error));
  return {};
}

}  // namespace cryostat::image
