// XXH3-64 of a file as it is written or read.
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>

namespace cryostat::image {

class FileHash {
 public:
  FileHash() { XXH3_64bits_reset(&state_); }
  void add(const void* bytes, size_t size) { XXH3_64bits_update(&state_, bytes, size); }
  uint64_t value() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

}  // namespace cryostat::image
