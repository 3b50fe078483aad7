// Compressed page data: pages.img cut into blocks that are compressed by themselves, and back.
//
// While a target is frozen (or while a copy of it is there) its pages are written as they are, as
// fast as that goes, into a file without a name; they are packed behind its back. A restore unpacks
// into such a file first and then reads that: the memory in use stays the same whatever the size.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/rate_limit.h"
#include "engine/base/unique_fd.h"
#include "engine/image/compression.h"

namespace cryostat::pb {
class PageBlocks;
}

namespace cryostat::image {

inline constexpr uint32_t kPackedBlockPages = 32;

// A file without a name in the folder `dir` (O_TMPFILE, open(2)), or in memory where the file
// system has no such thing.
Result<UniqueFd> open_scratch_file(int dir, const std::string& directory);

// Compresses the first `page_count` pages of `pages` into `packed` (empty; `path` is for messages)
// on `threads` threads, the caller's among them, no faster than `limit`. Fills `blocks`; returns
// the bytes written.
Result<uint64_t> pack_pages(int pages, uint64_t page_count, const Compression& compression,
                            int packed, const std::string& path, unsigned threads, RateLimit& limit,
                            const StopRequest& stop, pb::PageBlocks& blocks);

// What is wrong with an index read from an image whose packed file has `packed_bytes`; empty when
// nothing is.
std::string check_page_blocks(const pb::PageBlocks& blocks, uint64_t packed_bytes);

// The other way round. Precondition: check_page_blocks(). kImages names a block that does not hold.
Result<void> unpack_pages(int packed, const std::string& path, const pb::PageBlocks& blocks,
                          int pages, unsigned threads, const StopRequest& stop);

}  // namespace cryostat::image
