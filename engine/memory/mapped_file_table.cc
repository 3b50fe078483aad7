#include "engine/memory/mapped_file_table.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "engine/memory/file_fingerprint.h"

namespace cryostat::memory {

Result<uint32_t> MappedFileTable::intern(int fd, const struct stat& identity,
                                         const std::string& path, Use use) {
  const auto key = std::tuple(identity.st_dev, identity.st_ino, path);
  const auto [known, is_new] = ids_.try_emplace(key, static_cast<uint32_t>(files_.size() + 1));
  if (is_new) {
    Source source = {UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0))};
    if (!source.fd) return fail_errno(fmt::format("keep {} open", path));
    sources_.push_back(std::move(source));
    files_.emplace_back().set_id(known->second);
    // What it is like now counts: a target that runs on may change it.
    *files_.back().mutable_fingerprint() = make_fingerprint(identity, path);
  }
  this->use(known->second, use);
  return known->second;
}

void MappedFileTable::use(uint32_t id, Use use) {
  if (use.writable) files_[id - 1].set_writable(true);
  if (use.executable) sources_[id - 1].executable = true;
}

Result<void> MappedFileTable::fingerprint() {
  for (size_t i = 0; i < sources_.size(); ++i) {
    Source& source = sources_[i];
    if (source.executable && source.fd.valid())
      TRY(fingerprint_content(source.fd.get(), *files_[i].mutable_fingerprint()));
    source.fd.reset();
  }
  return {};
}

}  // namespace cryostat::memory
