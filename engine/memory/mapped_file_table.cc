#include "engine/memory/mapped_file_table.h"

#include "engine/memory/file_fingerprint.h"

namespace cryostat::memory {

Result<uint32_t> MappedFileTable::intern(int fd, const struct stat& identity, const std::string& path,
                                         Use use) {
  const auto key = std::tuple(identity.st_dev, identity.st_ino, path);
  auto [known, is_new] = ids_.try_emplace(key, static_cast<uint32_t>(files_.size() + 1));
  if (is_new) {
    files_.emplace_back().set_id(known->second);
    *files_.back().mutable_fingerprint() = TRY(fingerprint_file(
        fd, path, use.executable ? ContentCheck::kBuildIdOrHash : ContentCheck::kSizeOnly));
  }
  pb::MappedFile& file = files_[known->second - 1];
  if (use.writable) file.set_writable(true);
  const pb::FileFingerprint& print = file.fingerprint();
  if (use.executable && print.build_id().empty() && print.content_xxh3_128().empty())
    *file.mutable_fingerprint() = TRY(fingerprint_file(fd, path, ContentCheck::kBuildIdOrHash));
  return known->second;
}

}  // namespace cryostat::memory
