// The files that VMAs of the target map. They are found while the target is frozen; their content
// is looked at later, when it runs again.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "proto/mm.pb.h"

namespace cryostat::memory {

class MappedFileTable {
 public:
  // How one more VMA maps a file.
  struct Use {
    bool executable = false;  // its content matters: build-id or hash
    bool writable = false;    // shared and of a descriptor open for writing
  };
  // The id (from 1) of the file at `path`, whose fstat is `identity`. A duplicate of `fd`, open for
  // reading, is kept.
  Result<uint32_t> intern(int fd, const struct stat& identity, const std::string& path, Use use);
  // One more use of a file that is known.
  void use(uint32_t id, Use use);

  // Looks at the content of the files for which it matters and closes all descriptors; files that
  // were done before are skipped.
  Result<void> fingerprint();

  // Id n is n-1; build-ids and hashes are there after fingerprint().
  const std::vector<pb::MappedFile>& files() const { return files_; }

 private:
  struct Source {
    UniqueFd fd;
    bool executable = false;
  };
  std::vector<pb::MappedFile> files_;
  std::vector<Source> sources_;  // of files_, in the same order
  std::map<std::tuple<dev_t, ino_t, std::string>, uint32_t> ids_;
};

}  // namespace cryostat::memory
