// A fuzz input read as the steps that build a checkpoint folder: records with right checksums, then
// damage to single bytes. So mutation reaches what lies behind the checksums.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cryostat::fuzz {

struct Step {
  enum Kind : uint8_t {
    kRecord,    // append a record: `tag`, `payload`
    kFlip,      // of file `tag`: xor the byte at `offset` with `value`
    kTruncate,  // of file `tag`: keep `offset` bytes
  };
  Kind kind = kRecord;
  uint8_t tag = 0;
  uint32_t offset = 0;
  uint8_t value = 0;
  std::string payload;
};

// Any bytes are steps; what is cut off at the end is left out.
std::vector<Step> decode_steps(std::string_view input);
std::string encode_steps(const std::vector<Step>& steps);

// Writes the checkpoint into a folder that exists, over what is there.
void write_checkpoint(const std::vector<Step>& steps, const std::string& directory);

// A checkpoint that loads: one task, some memory, a descriptor.
std::vector<Step> sample_steps();
// The same with compressed pages.
std::vector<Step> packed_steps();

}  // namespace cryostat::fuzz
