// The vDSO's bytes are the same in almost every address space of a tree: they are saved once.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace cryostat::memory {

class VdsoImages {
 public:
  // The address space that these bytes were first seen in; `space` itself when they are new.
  uint32_t first_with(const std::string& bytes, uint32_t space) {
    return spaces_.emplace(bytes, space).first->second;
  }

 private:
  std::unordered_map<std::string, uint32_t> spaces_;
};

}  // namespace cryostat::memory
