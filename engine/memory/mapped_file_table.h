// The files that VMAs of the target map, each fingerprinted once during a dump.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "engine/base/error.h"
#include "proto/mm.pb.h"

namespace cryostat::memory {

class MappedFileTable {
 public:
  // How one more VMA maps a file.
  struct Use {
    bool executable = false;  // its content matters: build-id or hash
    bool writable = false;    // shared and of a descriptor open for writing
  };
  // The id (from 1) of the file at `path`, whose fstat is `identity`. `fd` is open for reading.
  Result<uint32_t> intern(int fd, const struct stat& identity, const std::string& path, Use use);

  const std::vector<pb::MappedFile>& files() const { return files_; }  // id n is n-1

 private:
  std::vector<pb::MappedFile> files_;
  std::map<std::tuple<dev_t, ino_t, std::string>, uint32_t> ids_;
};

}  // namespace cryostat::memory
