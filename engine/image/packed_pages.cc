#include "engine/image/packed_pages.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/span.h"
#include "engine/image/write_all.h"
#include "proto/page_blocks.pb.h"

namespace cryostat::image {

namespace {

constexpr uint32_t kMaxBlockPages = 4096;

pb::PageBlocks::Method method_in_image(CompressionMethod method) {
  switch (method) {
    case CompressionMethod::kNone:
      break;
    case CompressionMethod::kLz4:
      return pb::PageBlocks::LZ4;
    case CompressionMethod::kZstd:
      return pb::PageBlocks::ZSTD;
  }
  return pb::PageBlocks::RAW;
}

CompressionMethod method_of_image(pb::PageBlocks::Method method) {
  if (method == pb::PageBlocks::LZ4) return CompressionMethod::kLz4;
  return method == pb::PageBlocks::ZSTD ? CompressionMethod::kZstd : CompressionMethod::kNone;
}

uint64_t block_count(uint64_t page_count, uint32_t block_pages) {
  return page_count / block_pages + (page_count % block_pages != 0 ? 1 : 0);
}

uint64_t bytes_of_block(const pb::PageBlocks& blocks, uint64_t block) {
  const uint64_t first = block * blocks.block_pages();
  return std::min<uint64_t>(blocks.block_pages(), blocks.page_count() - first) * kPageSize;
}

Result<void> read_all(int fd, uint8_t* to, size_t size, uint64_t offset, const std::string& path) {
  while (size > 0) {
    const ssize_t got = pread(fd, to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(fmt::format("read {}", path));
    if (got == 0) return fail(ErrorKind::kImages, fmt::format("{}: truncated", path));
    to += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return {};
}

// Hands the numbers 0 to `count` out to threads; `work` is called with an own function for each
// thread, made by `make_worker`. The first error ends all.
using Worker = std::function<Result<void>(uint64_t)>;
Result<void> share_out(uint64_t count, unsigned threads,
                       const std::function<Worker()>& make_worker) {
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  std::optional<Error> first_error;
  const auto run = [&] {
    const Worker worker = make_worker();
    for (;;) {
      const uint64_t number = next.fetch_add(1, std::memory_order_relaxed);
      if (number >= count) return;
      auto done = worker(number);
      if (done.has_value()) continue;
      next.store(count, std::memory_order_relaxed);
      const std::lock_guard lock(mutex);
      if (!first_error) first_error.emplace(std::move(done).error());
      return;
    }
  };
  std::vector<std::thread> helpers;
  for (uint64_t i = 1; i < std::min<uint64_t>(threads, count); ++i) helpers.emplace_back(run);
  run();
  for (auto& helper : helpers) helper.join();
  if (first_error) return tl::unexpected(std::move(*first_error));
  return {};
}

// One thread's part of the packing.
class Packer {
 public:
  Packer(int pages, int packed, const std::string& path, const Compression& compression,
         std::atomic<uint64_t>& end, RateLimit& limit, const StopRequest& stop,
         pb::PageBlocks& blocks)
      : pages_(pages),
        packed_(packed),
        path_(path),
        compressor_(compression),
        end_(end),
        limit_(limit),
        stop_(stop),
        blocks_(blocks),
        from_(kPackedBlockPages * kPageSize),
        to_(from_.size()) {}

  Result<void> pack(uint64_t block) {
    const std::span from(from_.data(), bytes_of_block(blocks_, block));
    TRY(read_all(pages_, from.data(), from.size(), block * from_.size(), "the pages to compress"));
    const size_t compressed = compressor_.compress(from, to_);
    const std::span<const uint8_t> stored =
        compressed == 0 ? from : std::span<const uint8_t>(to_.data(), compressed);
    const uint64_t offset = end_.fetch_add(stored.size(), std::memory_order_relaxed);
    TRY(pwrite_all(packed_, stored.data(), stored.size(), offset, path_));
    TRY(limit_.spend(stored.size(), stop_));
    const int index = static_cast<int>(block);
    blocks_.set_offset_bytes(index, offset);
    blocks_.set_size_bytes(index, static_cast<uint32_t>(stored.size()));
    blocks_.set_xxh3(index, XXH3_64bits(stored.data(), stored.size()));
    return {};
  }

 private:
  int pages_;
  int packed_;
  const std::string& path_;
  BlockCompressor compressor_;
  std::atomic<uint64_t>& end_;
  RateLimit& limit_;
  const StopRequest& stop_;
  pb::PageBlocks& blocks_;
  std::vector<uint8_t> from_;
  std::vector<uint8_t> to_;
};

}  // namespace

Result<UniqueFd> open_scratch_file(int dir, const std::string& directory) {
  UniqueFd file(openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file) return file;
  const int error = errno;
  // A read-only folder, or a file system without it: memory is better than nothing.
  file.reset(memfd_create("cryostat-pages", MFD_CLOEXEC));
  if (file) return file;
  return fail_errno(error, fmt::format("create a file without a name in {}", directory));
}

Result<uint64_t> pack_pages(int pages, uint64_t page_count, const Compression& compression,
                            int packed, const std::string& path, unsigned threads, RateLimit& limit,
                            const StopRequest& stop, pb::PageBlocks& blocks) {
  Span span("image.pack");
  span.add_bytes(page_count * kPageSize);
  const uint64_t count = block_count(page_count, kPackedBlockPages);
  if (count > INT32_MAX) return fail(ErrorKind::kFailed, "too many pages to compress");
  blocks.set_method(method_in_image(compression.method));
  blocks.set_page_count(page_count);
  blocks.set_block_pages(kPackedBlockPages);
  blocks.mutable_offset_bytes()->Resize(static_cast<int>(count), 0);
  blocks.mutable_size_bytes()->Resize(static_cast<int>(count), 0);
  blocks.mutable_xxh3()->Resize(static_cast<int>(count), 0);
  std::atomic<uint64_t> end{0};
  TRY(share_out(count, threads, [&]() -> Worker {
    const auto packer =
        std::make_shared<Packer>(pages, packed, path, compression, end, limit, stop, blocks);
    return [packer](uint64_t block) { return packer->pack(block); };
  }));
  return end.load();
}

std::string check_page_blocks(const pb::PageBlocks& blocks, uint64_t packed_bytes) {
  if (!pb::PageBlocks::Method_IsValid(blocks.method()))
    return fmt::format("unknown compression {}", static_cast<int>(blocks.method()));
  if (blocks.block_pages() == 0 || blocks.block_pages() > kMaxBlockPages)
    return fmt::format("blocks of {} pages", blocks.block_pages());
  const uint64_t count = block_count(blocks.page_count(), blocks.block_pages());
  const auto entries = static_cast<uint64_t>(blocks.offset_bytes_size());
  if (entries != count || blocks.size_bytes_size() != blocks.offset_bytes_size() ||
      blocks.xxh3_size() != blocks.offset_bytes_size())
    return fmt::format("{} blocks for {} pages", entries, blocks.page_count());
  for (int i = 0; i < blocks.offset_bytes_size(); ++i) {
    const uint64_t size = blocks.size_bytes(i);
    if (size == 0 || size > bytes_of_block(blocks, static_cast<uint64_t>(i)) ||
        size > packed_bytes || blocks.offset_bytes(i) > packed_bytes - size)
      return fmt::format("block {} ({} bytes at {}) does not fit", i, size, blocks.offset_bytes(i));
  }
  return {};
}

Result<void> unpack_pages(int packed, const std::string& path, const pb::PageBlocks& blocks,
                          int pages, unsigned threads, const StopRequest& stop) {
  Span span("image.unpack");
  span.add_bytes(blocks.page_count() * kPageSize);
  const uint64_t block_bytes = blocks.block_pages() * kPageSize;
  const CompressionMethod method = method_of_image(blocks.method());
  if (ftruncate(pages, static_cast<off_t>(blocks.page_count() * kPageSize)) != 0)
    return fail_errno("make room for the unpacked pages");
  const auto unpack = [&](uint64_t block, std::vector<uint8_t>& from,
                          std::vector<uint8_t>& to) -> Result<void> {
    TRY(stop.check());
    const int index = static_cast<int>(block);
    const std::span stored(from.data(), blocks.size_bytes(index));
    const std::span content(to.data(), bytes_of_block(blocks, block));
    TRY(read_all(packed, stored.data(), stored.size(), blocks.offset_bytes(index), path));
    const bool raw = stored.size() == content.size();
    if (XXH3_64bits(stored.data(), stored.size()) != blocks.xxh3(index) ||
        (!raw && !decompress_block(method, stored, content)))
      return fail(ErrorKind::kImages, fmt::format("{}: byte {}: damaged: block {} does not hold",
                                                  path, blocks.offset_bytes(index), block));
    const auto& result = raw ? stored : content;
    return pwrite_all(pages, result.data(), result.size(), block * block_bytes,
                      "the unpacked pages");
  };
  return share_out(static_cast<uint64_t>(blocks.offset_bytes_size()), threads, [&]() -> Worker {
    const auto from = std::make_shared<std::vector<uint8_t>>(block_bytes);
    const auto to = std::make_shared<std::vector<uint8_t>>(block_bytes);
    return [&unpack, from, to](uint64_t block) { return unpack(block, *from, *to); };
  });
}

}  // namespace cryostat::image
