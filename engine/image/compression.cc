#include "engine/image/compression.h"

#include <fmt/format.h>
#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <charconv>

namespace cryostat::image {

namespace {
constexpr int kMaxLevel = 19;  // above it zstd wants memory in proportion to its window
}

Result<Compression> parse_compression(std::string_view text) {
  if (text == "none") return Compression{};
  if (text == "lz4") return Compression{CompressionMethod::kLz4, 0};
  if (text == "zstd") return Compression{CompressionMethod::kZstd, 0};
  constexpr std::string_view kPrefix = "zstd:";
  if (text.starts_with(kPrefix)) {
    const std::string_view digits = text.substr(kPrefix.size());
    int level = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), level);
    if (error == std::errc() && end == digits.data() + digits.size() && level >= 1 &&
        level <= kMaxLevel)
      return Compression{CompressionMethod::kZstd, level};
  }
  return fail(ErrorKind::kUsage,
              fmt::format("'{}' is not none, lz4, zstd or zstd:1 to zstd:{}", text, kMaxLevel));
}

std::string compression_name(const Compression& compression) {
  switch (compression.method) {
    case CompressionMethod::kNone:
      return "none";
    case CompressionMethod::kLz4:
      return "lz4";
    case CompressionMethod::kZstd:
      break;
  }
  return compression.level == 0 ? "zstd" : fmt::format("zstd:{}", compression.level);
}

struct BlockCompressor::State {
  ZSTD_CCtx* context = nullptr;
  ~State() { ZSTD_freeCCtx(context); }
};

BlockCompressor::BlockCompressor(const Compression& compression)
    : compression_(compression), state_(std::make_unique<State>()) {
  if (compression.method == CompressionMethod::kZstd) state_->context = ZSTD_createCCtx();
}
BlockCompressor::BlockCompressor(BlockCompressor&&) noexcept = default;
BlockCompressor::~BlockCompressor() = default;

size_t BlockCompressor::compress(std::span<const uint8_t> from, std::span<uint8_t> to) {
  // A block that fills its place is told from a compressed one by its size.
  const size_t room = std::min(from.size() - 1, to.size());
  if (compression_.method == CompressionMethod::kLz4) {
    const int size = LZ4_compress_default(reinterpret_cast<const char*>(from.data()),
                                          reinterpret_cast<char*>(to.data()),
                                          static_cast<int>(from.size()), static_cast<int>(room));
    return size > 0 ? static_cast<size_t>(size) : 0;
  }
  if (compression_.method != CompressionMethod::kZstd || state_->context == nullptr) return 0;
  const int level = compression_.level != 0 ? compression_.level : ZSTD_CLEVEL_DEFAULT;
  const size_t size =
      ZSTD_compressCCtx(state_->context, to.data(), room, from.data(), from.size(), level);
  return ZSTD_isError(size) != 0 ? 0 : size;
}

bool decompress_block(CompressionMethod method, std::span<const uint8_t> from,
                      std::span<uint8_t> to) {
  if (method == CompressionMethod::kLz4) {
    const int size = LZ4_decompress_safe(
        reinterpret_cast<const char*>(from.data()), reinterpret_cast<char*>(to.data()),
        static_cast<int>(from.size()), static_cast<int>(to.size()));
    return size >= 0 && static_cast<size_t>(size) == to.size();
  }
  if (method != CompressionMethod::kZstd) return false;
  const size_t size = ZSTD_decompress(to.data(), to.size(), from.data(), from.size());
  return ZSTD_isError(size) == 0 && size == to.size();
}

}  // namespace cryostat::image
