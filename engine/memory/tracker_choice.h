// The ways to learn which pages differ from the parent checkpoint.
#pragma once

#include <cstdint>

namespace cryostat::memory {

enum class TrackerChoice : uint8_t {
  kAuto,       // the first of uffd-wp, soft-dirty and hash that this kernel has
  kUffdWp,     // asynchronous userfaultfd write-protection, read with PAGEMAP_SCAN (6.7)
  kSoftDirty,  // clear_refs and pagemap bit 55 (CONFIG_MEM_SOFT_DIRTY)
  kHash,       // every page is read and compared with the parent's checksum
  kNone,       // everything is written
};

const char* tracker_name(TrackerChoice choice);

}  // namespace cryostat::memory
