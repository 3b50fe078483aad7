#include "parasite/transfer.h"

#include <emmintrin.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <cstdint>

#include "engine/kernel/raw_syscall.h"
#include "proto/wire/parasite_transfer.h"

namespace cryostat::parasite {

namespace {

constexpr uint64_t kPage = 4096;
// What is looked at and then written while it still lies in the second level cache.
constexpr uint32_t kChunkPages = 64;

bool is_zero_page(const void* page) {
  const auto* at = static_cast<const __m128i*>(page);
  const __m128i zero = _mm_setzero_si128();
  for (uint32_t i = 0; i < kPage / sizeof(__m128i); i += 4) {
    const __m128i bits =
        _mm_or_si128(_mm_or_si128(_mm_load_si128(at + i), _mm_load_si128(at + i + 1)),
                     _mm_or_si128(_mm_load_si128(at + i + 2), _mm_load_si128(at + i + 3)));
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(bits, zero)) != 0xffff) return false;
  }
  return true;
}

// Pages that were looked at and wait to be written.
class Chunk {
 public:
  Chunk(int fd, uint64_t offset) : fd_(fd), offset_(offset) {}

  // Adds a page and writes the chunk when it is full. 0 or -errno.
  int add(uint64_t page) {
    if (count_ > 0 && end_ == page) {
      vectors_[count_ - 1].iov_len += kPage;
    } else {
      vectors_[count_].iov_base = reinterpret_cast<void*>(page);
      vectors_[count_++].iov_len = kPage;
    }
    end_ = page + kPage;
    return ++pages_ == kChunkPages ? flush() : 0;
  }

  int flush() {
    iovec* at = vectors_;
    iovec* const end = vectors_ + count_;
    while (at != end) {
      const long written =
          raw_syscall(SYS_pwritev, static_cast<uint64_t>(fd_), reinterpret_cast<uint64_t>(at),
                      static_cast<uint64_t>(end - at), offset_, 0);
      if (written == -EINTR) continue;
      if (written <= 0) return written < 0 ? static_cast<int>(written) : -EIO;
      offset_ += static_cast<uint64_t>(written);
      at = skip(at, static_cast<uint64_t>(written));
    }
    count_ = 0;
    pages_ = 0;
    return 0;
  }

 private:
  static iovec* skip(iovec* at, uint64_t bytes) {
    while (bytes > 0 && bytes >= at->iov_len) bytes -= at++->iov_len;
    if (bytes > 0) {
      at->iov_base = static_cast<char*>(at->iov_base) + bytes;
      at->iov_len -= bytes;
    }
    return at;
  }

  int fd_;
  uint64_t offset_;
  uint64_t end_ = 0;  // of the last page added
  uint32_t count_ = 0;
  uint32_t pages_ = 0;
  iovec vectors_[kChunkPages];
};

// A write past RLIMIT_FSIZE would not only fail but leave a SIGXFSZ pending in the target.
bool within_file_size_limit(uint64_t end_bytes) {
  rlimit limit = {};
  const long got =
      raw_syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, reinterpret_cast<uint64_t>(&limit));
  return got == 0 && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= end_bytes);
}

bool is_sound(const wire::TransferRequest& request, const wire::TransferRun* runs,
              size_t data_bytes) {
  if (request.run_count > wire::kTransferMaxRuns || request.page_count > wire::kTransferMaxPages)
    return false;
  if (wire::transfer_data_bytes(request.run_count, request.page_count) > data_bytes) return false;
  uint64_t pages = 0;
  for (uint32_t i = 0; i < request.run_count; ++i) {
    if (runs[i].address % kPage != 0) return false;
    pages += runs[i].page_count;
  }
  return pages == request.page_count;
}

}  // namespace

int write_pages(void* data, size_t data_bytes) {
  if (data_bytes < wire::transfer_runs_offset()) return -EINVAL;
  auto& request = *static_cast<wire::TransferRequest*>(data);
  char* const base = static_cast<char*>(data);
  const auto* runs =
      reinterpret_cast<const wire::TransferRun*>(base + wire::transfer_runs_offset());
  if (!is_sound(request, runs, data_bytes)) return -EINVAL;
  request.pages_written = 0;
  if (!within_file_size_limit(request.file_offset_bytes + request.page_count * kPage))
    return -EFBIG;

  auto* zero_bits =
      reinterpret_cast<uint64_t*>(base + wire::transfer_zero_bitmap_offset(request.run_count));
  for (size_t i = 0; i < wire::transfer_bitmap_bytes(request.page_count) / 8; ++i) zero_bits[i] = 0;
  Chunk chunk(request.fd, request.file_offset_bytes);
  uint32_t index = 0;
  uint32_t stored = 0;
  for (uint32_t i = 0; i < request.run_count; ++i) {
    uint64_t page = runs[i].address;
    for (uint32_t left = runs[i].page_count; left > 0; --left, ++index, page += kPage) {
      if (is_zero_page(reinterpret_cast<const void*>(page))) {
        zero_bits[index / 64] |= uint64_t{1} << (index % 64);
        continue;
      }
      ++stored;
      if (const int error = chunk.add(page); error != 0) return error;
    }
  }
  if (const int error = chunk.flush(); error != 0) return error;
  request.pages_written = stored;
  return 0;
}

}  // namespace cryostat::parasite
