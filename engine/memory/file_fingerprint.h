// What a mapped or open file must still look like at restore.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "engine/base/error.h"

namespace cryostat::pb {
class FileFingerprint;
}

namespace cryostat::memory {

// How the content of a file is told apart.
enum class ContentCheck : uint8_t {
  kSizeOnly,
  kBuildIdOrHash,  // ELF NT_GNU_BUILD_ID, or XXH3-128 of the whole content when it has none
};

// What stat(2) tells: all but the content.
pb::FileFingerprint make_fingerprint(const struct stat& status, std::string path);
// Adds the build-id, or the hash of the whole content, of the file open for reading as `fd`.
Result<void> fingerprint_content(int fd, pb::FileFingerprint& print);

// Both. The fingerprint of the file open as `fd` (readable when the content is looked at; its
// position is not moved). `path` is recorded as given.
Result<pb::FileFingerprint> fingerprint_file(int fd, std::string path, ContentCheck check);

// Empty when `now` is as good as `dumped`; else what differs, with both values:
// "size was 4096 bytes, is 8192". Inode numbers and times are not compared.
std::string fingerprint_difference(const pb::FileFingerprint& dumped,
                                   const pb::FileFingerprint& now);

}  // namespace cryostat::memory
