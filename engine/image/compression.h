// Compression of page data, block by block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace cryostat::image {

enum class CompressionMethod : uint8_t { kNone, kLz4, kZstd };

struct Compression {
  CompressionMethod method = CompressionMethod::kNone;
  int level = 0;  // zstd: 1 to 19; 0: the library's default
  bool operator==(const Compression&) const = default;
};

// "none", "lz4", "zstd" or "zstd:LEVEL". kUsage for anything else.
Result<Compression> parse_compression(std::string_view text);
// The other way round.
std::string compression_name(const Compression& compression);

// Compresses blocks, each by itself; for one thread.
class BlockCompressor {
 public:
  explicit BlockCompressor(const Compression& compression);
  BlockCompressor(BlockCompressor&&) noexcept;
  ~BlockCompressor();
  // `to` has at least from.size() bytes. The compressed size, or 0 when the block does not become
  // smaller and is best stored as it is.
  size_t compress(std::span<const uint8_t> from, std::span<uint8_t> to);

 private:
  struct State;
  Compression compression_;
  std::unique_ptr<State> state_;
};

// Fills `to` exactly. False when `from` is not a block of that size.
bool decompress_block(CompressionMethod method, std::span<const uint8_t> from,
                      std::span<uint8_t> to);

}  // namespace cryostat::image
