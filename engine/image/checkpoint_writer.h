// Writes a checkpoint: a folder of images that becomes a checkpoint when its manifest appears.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/error.h"
#include "engine/base/rate_limit.h"
#include "engine/base/unique_fd.h"
#include "engine/image/format.h"
#include "engine/image/page_store_writer.h"
#include "engine/image/record_writer.h"
#include "engine/image/store_options.h"

namespace cryostat::image {

// The id of this start of the kernel (random(4)); empty when it can't be read.
std::string read_boot_id();
// 128 random bits in hex, for Manifest.checkpoint_id.
std::string random_checkpoint_id();

// Until commit() has renamed the manifest into place the folder is no checkpoint. Destroyed without
// a commit, everything created is removed again.
class CheckpointWriter {
 public:
  // Creates the folder (0700, its parent must exist) if it is missing. A checkpoint that is already
  // in there is given up at once: its manifest goes first, so that no mix of old and new can be
  // taken for a checkpoint. The folder is locked (flock(2)) until the writer is gone: while another
  // dump writes to it, this fails and touches nothing. Call before the target is frozen: removing
  // old page data takes time.
  static Result<CheckpointWriter> create(const std::string& directory,
                                         const StoreOptions& store = {});

  CheckpointWriter(CheckpointWriter&&) noexcept;
  CheckpointWriter& operator=(CheckpointWriter&&) = delete;
  ~CheckpointWriter();

  // The record stream of a file type (tasks, memory, files, pagemap, stats); created on first use.
  Result<RecordWriter*> stream(FileType type);
  // Appends to the stream of `type`.
  template <typename Message>
  Result<void> append(FileType type, const Message& message) {
    auto writer = stream(type);
    if (!writer) return tl::unexpected(std::move(writer).error());
    return (*writer)->append(message);
  }

  PageStoreWriter& pages() { return *pages_; }
  const PageStoreWriter& pages() const { return *pages_; }

  // Compresses the pages, if that was chosen; called by commit() where it was not before. Nothing
  // of the target is needed for it. No page may be added afterwards. Returns the bytes stored.
  Result<uint64_t> pack(RateLimit& limit, const StopRequest& stop);

  // Makes it a checkpoint: flushes and syncs the record files and page sums, fills format_version,
  // files, page_size_bytes and (where empty) checkpoint_id, created_unix_ns, kernel_release,
  // host_name, boot_id into the manifest, writes it as manifest.tmp, syncs, renames, syncs the
  // folder. Page data is not waited for (its write-back is left to the kernel): after a power loss
  // a torn page is found by its checksum. On error nothing is left but a folder that is no
  // checkpoint.
  Result<void> commit(pb::Manifest manifest);

  // Takes a commit back: what was a checkpoint is abandoned.
  void revoke();

  // Removes what was created, and the folder if create() made it. Errors are ignored.
  void abandon();

  const std::string& directory() const { return directory_; }

 private:
  CheckpointWriter(UniqueFd dir, std::string directory, bool made_directory);
  Result<UniqueFd> create_file(std::string_view name);
  Result<void> create_pages(const StoreOptions& store);
  Result<void> truncate_pages();
  Result<void> write_manifest(const pb::Manifest& manifest);
  Result<void> sync_files(const RecordWriter& manifest);

  UniqueFd dir_;
  std::string directory_;
  bool made_directory_;
  bool done_ = false;
  std::array<std::optional<RecordWriter>, static_cast<size_t>(kLastFileType) + 1> streams_;
  std::optional<PageStoreWriter> pages_;
  Compression compression_;
  std::optional<uint64_t> packed_bytes_;
};

}  // namespace cryostat::image
