#include "engine/image/packed_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <vector>

#include "engine/base/ids.h"
#include "engine/image/page_index.h"
#include "proto/page_blocks.pb.h"
#include "tests/support/catch.h"

namespace cryostat::image {
namespace {

UniqueFd file_of(const std::vector<uint8_t>& bytes) {
  UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  REQUIRE(write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return file;
}

std::vector<uint8_t> content_of(int file) {
  std::vector<uint8_t> bytes(static_cast<size_t>(lseek(file, 0, SEEK_END)));
  REQUIRE(pread(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

// Pages that compress well, badly and not at all.
std::vector<uint8_t> sample_pages(uint64_t count) {
  std::mt19937_64 random(7);
  std::vector<uint8_t> bytes(count * kPageSize);
  for (uint64_t page = 0; page < count; ++page) {
    const size_t noise = page % 3 == 0 ? 16 : page % 3 == 1 ? kPageSize / 2 : kPageSize;
    for (size_t i = 0; i < noise; ++i) bytes[page * kPageSize + i] = static_cast<uint8_t>(random());
  }
  return bytes;
}

struct Packed {
  pb::PageBlocks blocks;
  UniqueFd file{memfd_create("packed", MFD_CLOEXEC)};
  uint64_t size = 0;
};

Packed pack(const std::vector<uint8_t>& pages, const Compression& compression, unsigned threads) {
  Packed packed;
  const UniqueFd file = file_of(pages);
  RateLimit limit(0);
  const StopRequest stop;
  const auto size = pack_pages(file.get(), pages.size() / kPageSize, compression, packed.file.get(),
                               "packed", threads, limit, stop, packed.blocks);
  if (!size) FAIL(size.error().message());
  packed.size = *size;
  return packed;
}

}  // namespace

TEST_CASE("pages come back from every compression, on one thread and many") {
  const Compression compression =
      GENERATE(Compression{CompressionMethod::kLz4, 0}, Compression{CompressionMethod::kZstd, 0},
               Compression{CompressionMethod::kZstd, 7});
  const unsigned threads = GENERATE(1u, 4u);
  const uint64_t count = GENERATE(0u, 1u, 32u, 333u);
  const auto pages = sample_pages(count);
  const Packed packed = pack(pages, compression, threads);
  CHECK(packed.size <= pages.size());
  if (count > 100) CHECK(packed.size < pages.size() * 3 / 4);
  CHECK(check_page_blocks(packed.blocks, packed.size).empty());
  const UniqueFd unpacked(memfd_create("unpacked", MFD_CLOEXEC));
  const StopRequest stop;
  const auto done =
      unpack_pages(packed.file.get(), "packed", packed.blocks, unpacked.get(), threads, stop);
  if (!done) FAIL(done.error().message());
  CHECK(content_of(unpacked.get()) == pages);
}

TEST_CASE("noise is stored as it is") {
  std::mt19937_64 random(1);
  std::vector<uint8_t> pages(64 * kPageSize);
  for (auto& byte : pages) byte = static_cast<uint8_t>(random());
  const Packed packed = pack(pages, {CompressionMethod::kLz4, 0}, 2);
  CHECK(packed.size == pages.size());
}

TEST_CASE("a damaged block is named, whichever byte it is") {
  const auto pages = sample_pages(100);
  const Packed packed = pack(pages, {CompressionMethod::kLz4, 0}, 1);
  const StopRequest stop;
  for (uint64_t at = 0; at < packed.size; at += packed.size / 7 + 1) {
    auto bytes = content_of(packed.file.get());
    bytes[at] ^= 0x40;
    const UniqueFd damaged = file_of(bytes);
    const UniqueFd unpacked(memfd_create("unpacked", MFD_CLOEXEC));
    const auto done = unpack_pages(damaged.get(), "packed", packed.blocks, unpacked.get(), 2, stop);
    REQUIRE_FALSE(done);
    CHECK(done.error().kind() == ErrorKind::kImages);
    CHECK(done.error().message().find("block") != std::string::npos);
  }
}

TEST_CASE("a block index that does not fit its file is refused") {
  const auto pages = sample_pages(100);
  const Packed packed = pack(pages, {CompressionMethod::kZstd, 0}, 1);
  const auto wrong = [&](const auto& change) {
    pb::PageBlocks blocks = packed.blocks;
    change(blocks);
    return !check_page_blocks(blocks, packed.size).empty();
  };
  CHECK_FALSE(wrong([](pb::PageBlocks&) {}));
  CHECK(wrong([](pb::PageBlocks& blocks) { blocks.set_page_count(99999); }));
  CHECK(wrong([](pb::PageBlocks& blocks) { blocks.set_page_count(~uint64_t{0}); }));
  CHECK(wrong([](pb::PageBlocks& blocks) { blocks.set_block_pages(0); }));
  CHECK(wrong([](pb::PageBlocks& blocks) { blocks.set_block_pages(1u << 31); }));
  CHECK(wrong([](pb::PageBlocks& blocks) { blocks.set_size_bytes(0, 0); }));
  CHECK(wrong([](pb::PageBlocks& blocks) { blocks.set_size_bytes(1, 1u << 30); }));
  CHECK(wrong([](pb::PageBlocks& blocks) { blocks.set_offset_bytes(1, ~uint64_t{0}); }));
  CHECK(wrong([](pb::PageBlocks& blocks) { blocks.add_xxh3(1); }));
  CHECK(wrong(
      [](pb::PageBlocks& blocks) { blocks.set_method(static_cast<pb::PageBlocks::Method>(9)); }));
}

TEST_CASE("compression by name") {
  CHECK(*parse_compression("none") == Compression{});
  CHECK(*parse_compression("lz4") == Compression{CompressionMethod::kLz4, 0});
  CHECK(*parse_compression("zstd:19") == Compression{CompressionMethod::kZstd, 19});
  for (const char* text : {"none", "lz4", "zstd", "zstd:3"})
    CHECK(compression_name(*parse_compression(text)) == text);
  for (const char* text : {"", "gzip", "lz4:1", "zstd:", "zstd:0", "zstd:20", "zstd:3x", "zstd:-1"})
    CHECK(parse_compression(text).error().kind() == ErrorKind::kUsage);
}

TEST_CASE("a page index finds what it was told, and only what is the same") {
  PageIndex index;
  std::vector<PageSum> sums(20000);
  std::mt19937_64 random(3);
  for (auto& sum : sums)
    for (auto& byte : sum.bytes) byte = static_cast<uint8_t>(random());
  for (size_t i = 0; i < sums.size(); ++i) index.add(sums[i], i);
  for (size_t i = 0; i < sums.size(); ++i)
    REQUIRE(index.find(sums[i], [](uint64_t) { return true; }) == i);
  CHECK(index.find(sums[5], [](uint64_t) { return false; }) == PageIndex::kNone);
  // Different pages of one sum: told apart by comparison.
  index.add(sums[5], 77777);
  CHECK(index.find(sums[5], [](uint64_t found) { return found == 77777; }) == 77777);
  PageSum unknown{};
  CHECK(index.find(unknown, [](uint64_t) { return true; }) == PageIndex::kNone);
}

TEST_CASE("a full page index remembers no more") {
  PageIndex index(2);
  for (uint8_t i = 0; i < 3; ++i) {
    PageSum sum{};
    sum.bytes[0] = static_cast<uint8_t>(i + 1);
    index.add(sum, i);
  }
  CHECK(index.size() == 2);
}

}  // namespace cryostat::image
