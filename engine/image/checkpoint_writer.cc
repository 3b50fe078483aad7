#include "engine/image/checkpoint_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/log.h"
#include "engine/base/span.h"
#include "engine/image/packed_pages.h"
#include "engine/image/write_all.h"
#include "proto/manifest.pb.h"
#include "proto/page_blocks.pb.h"

namespace cryostat::image {

namespace {

constexpr char kManifestDraft[] = "manifest.tmp";

std::string name_of(FileType type) { return std::string(file_name(type)); }

// Two dumps that write to one folder would each remove the other's files and call the rest a
// checkpoint. The lock goes with the writer, however it ends. File systems without locks do
// without.
Result<void> lock_folder(int dir, const std::string& directory) {
  if (flock(dir, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return {};
  return tl::unexpected(
      Error(ErrorKind::kFailed, fmt::format("another dump is writing to {}", directory))
          .with_hint("give each dump a folder of its own with -D"));
}

// Removes what an earlier dump left, the manifest first.
Result<void> remove_old(int dir, const std::string& directory) {
  const auto remove = [&](const std::string& name) -> Result<void> {
    if (unlinkat(dir, name.c_str(), 0) != 0 && errno != ENOENT)
      return fail_errno(fmt::format("remove the earlier {}/{}", directory, name));
    return {};
  };
  for (uint32_t type = 1; type <= static_cast<uint32_t>(kLastFileType); ++type)
    TRY(remove(name_of(static_cast<FileType>(type))));
  return remove(kManifestDraft);
}

// sethostname(2) takes any bytes, a protobuf string only UTF-8.
std::string ascii(std::string text) {
  for (char& byte : text)
    if ((byte & 0x80) != 0) byte = '?';
  return text;
}

void fill_defaults(pb::Manifest& manifest) {
  manifest.set_format_version(kImageFormatVersion);
  manifest.set_page_size_bytes(kPageSize);
  if (manifest.checkpoint_id().empty()) manifest.set_checkpoint_id(random_checkpoint_id());
  if (manifest.boot_id().empty()) manifest.set_boot_id(read_boot_id());
  utsname names{};
  uname(&names);
  if (manifest.kernel_release().empty()) manifest.set_kernel_release(names.release);
  if (manifest.host_name().empty()) manifest.set_host_name(ascii(names.nodename));
  if (manifest.created_unix_ns() == 0) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    manifest.set_created_unix_ns(static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
                                 static_cast<uint64_t>(now.tv_nsec));
  }
}

Result<void> sync_file(int fd, const std::string& path) {
  // Data and size are enough: nothing else of an image file matters after a crash.
  if (fdatasync(fd) != 0) return fail_errno(fmt::format("sync {}", path));
  return {};
}

}  // namespace

std::string random_checkpoint_id() {
  uint8_t bytes[16];
  if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) return "";
  std::string id;
  for (const uint8_t byte : bytes) id += fmt::format("{:02x}", byte);
  return id;
}

std::string read_boot_id() {
  const UniqueFd fd(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  char text[64];
  const ssize_t got = fd ? read(fd.get(), text, sizeof(text)) : -1;
  std::string id(text, got > 0 ? static_cast<size_t>(got) : 0);
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

CheckpointWriter::CheckpointWriter(UniqueFd dir, std::string directory, bool made_directory)
    : dir_(std::move(dir)), directory_(std::move(directory)), made_directory_(made_directory) {}

CheckpointWriter::CheckpointWriter(CheckpointWriter&& other) noexcept
    : dir_(std::move(other.dir_)),
      directory_(std::move(other.directory_)),
      made_directory_(other.made_directory_),
      done_(std::exchange(other.done_, true)),
      streams_(std::move(other.streams_)),
      pages_(std::move(other.pages_)),
      compression_(other.compression_),
      packed_bytes_(other.packed_bytes_) {}

CheckpointWriter::~CheckpointWriter() {
  if (!done_) abandon();
}

Result<CheckpointWriter> CheckpointWriter::create(const std::string& directory,
                                                  const StoreOptions& store) {
  bool made = mkdir(directory.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return fail_errno(fmt::format("create folder {}", directory));
  UniqueFd dir(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return fail_errno(fmt::format("open folder {}", directory));
  TRY(lock_folder(dir.get(), directory));
  CheckpointWriter writer(std::move(dir), directory, made);
  TRY(remove_old(writer.dir_.get(), directory));
  TRY(writer.create_pages(store));
  return writer;
}

// Pages that are to be compressed go into a file without a name first.
Result<void> CheckpointWriter::create_pages(const StoreOptions& store) {
  compression_ = store.compression;
  const bool raw = compression_.method == CompressionMethod::kNone;
  UniqueFd pages = raw ? TRY(create_file(file_name(FileType::kPages)))
                       : TRY(open_scratch_file(dir_.get(), directory_));
  UniqueFd sums = TRY(create_file(file_name(FileType::kPageSums)));
  // For everyone who writes to this description, the parasite too.
  if (store.direct_io && raw && fcntl(pages.get(), F_SETFL, O_DIRECT) != 0)
    log::warn("{}: no direct I/O here: {}", directory_, errno_name(errno));
  pages_.emplace(std::move(pages), std::move(sums), directory_);
  if (store.dedup) pages_->enable_dedup();
  return {};
}

// Writers may have left bytes past the last declared page (a batch that ended in zero pages).
Result<void> CheckpointWriter::truncate_pages() {
  if (ftruncate(pages_->pages_fd(), static_cast<off_t>(pages_->next_offset_bytes())) != 0)
    return fail_errno(fmt::format("truncate {}/{}", directory_, file_name(FileType::kPages)));
  return {};
}

Result<uint64_t> CheckpointWriter::pack(RateLimit& limit, const StopRequest& stop) {
  if (compression_.method == CompressionMethod::kNone) return pages_->next_offset_bytes();
  if (packed_bytes_.has_value()) return *packed_bytes_;
  TRY(pages_->flush());
  const std::string name(file_name(FileType::kPackedPages));
  const UniqueFd packed = TRY(create_file(name));
  pb::PageBlocks blocks;
  const unsigned threads = std::max(std::thread::hardware_concurrency(), 1u);
  packed_bytes_ =
      TRY_IN(pack_pages(pages_->pages_fd(), pages_->next_index(), compression_, packed.get(),
                        directory_ + "/" + name, threads, limit, stop, blocks),
             "compress the pages");
  TRY(append(FileType::kPageBlocks, blocks));
  return *packed_bytes_;
}

Result<UniqueFd> CheckpointWriter::create_file(std::string_view name) {
  // O_EXCL: never write through a link or into a file somebody may be reading.
  UniqueFd fd(
      openat(dir_.get(), std::string(name).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd)
    return tl::unexpected(
        write_error(errno, dir_.get(), fmt::format("{}/{}", directory_, name), 0));
  return fd;
}

Result<RecordWriter*> CheckpointWriter::stream(FileType type) {
  auto& slot = streams_[static_cast<size_t>(type)];
  if (!slot) {
    UniqueFd fd = TRY(create_file(file_name(type)));
    slot.emplace(std::move(fd), directory_ + "/" + name_of(type), type);
  }
  return &*slot;
}

Result<void> CheckpointWriter::sync_files(const RecordWriter& manifest) {
  const Span span("image.sync");
  std::vector<std::pair<int, std::string>> files;
  for (const auto& stream : streams_)
    if (stream) files.emplace_back(stream->fd(), stream->path());
  files.emplace_back(pages_->sums_fd(), directory_ + "/" + name_of(FileType::kPageSums));
  files.emplace_back(manifest.fd(), manifest.path());
  // Write-back of all is started first: their blocks are then allocated in one transaction of the
  // file system, and the first sync below commits it for all. Failures show in the syncs.
  for (const auto& [fd, path] : files) (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  for (const auto& [fd, path] : files) TRY(sync_file(fd, path));
  return {};
}

Result<void> CheckpointWriter::commit(pb::Manifest manifest) {
  const Span span("image.commit");
  fill_defaults(manifest);
  RateLimit no_limit(0);
  const StopRequest no_stop;
  const uint64_t page_bytes = TRY(pack(no_limit, no_stop));
  const auto add = [&](FileType type, uint64_t size_bytes, uint64_t xxh3, uint64_t records) {
    pb::ImageFile& file = *manifest.add_files();
    file.set_name(name_of(type));
    file.set_size_bytes(size_bytes);
    file.set_xxh3(xxh3);
    file.set_record_count(records);
  };
  for (size_t type = 0; type < streams_.size(); ++type) {
    auto& stream = streams_[type];
    if (!stream) continue;
    TRY(stream->flush());
    add(static_cast<FileType>(type), stream->size_bytes(), stream->xxh3(), stream->record_count());
  }
  TRY(pages_->flush());
  TRY(truncate_pages());
  add(packed_bytes_.has_value() ? FileType::kPackedPages : FileType::kPages, page_bytes, 0, 0);
  add(FileType::kPageSums, pages_->sums_size_bytes(), pages_->sums_xxh3(), 0);
  TRY(write_manifest(manifest));
  done_ = true;
  return {};
}

Result<void> CheckpointWriter::write_manifest(const pb::Manifest& manifest) {
  const std::string draft = directory_ + "/" + kManifestDraft;
  RecordWriter writer(TRY(create_file(kManifestDraft)), draft, FileType::kManifest);
  TRY(writer.append(manifest));
  TRY(writer.flush());
  TRY(sync_files(writer));
  const std::string name = name_of(FileType::kManifest);
  if (renameat(dir_.get(), kManifestDraft, dir_.get(), name.c_str()) != 0)
    return fail_errno(fmt::format("rename {} to {}", draft, name));
  if (fsync(dir_.get()) != 0) return fail_errno(fmt::format("sync folder {}", directory_));
  return {};
}

void CheckpointWriter::revoke() {
  done_ = false;
  abandon();
}

void CheckpointWriter::abandon() {
  if (done_) return;
  done_ = true;
  (void)unlinkat(dir_.get(), name_of(FileType::kManifest).c_str(), 0);
  (void)unlinkat(dir_.get(), kManifestDraft, 0);
  for (size_t type = 0; type < streams_.size(); ++type)
    if (streams_[type]) (void)unlinkat(dir_.get(), name_of(static_cast<FileType>(type)).c_str(), 0);
  for (const FileType type : {FileType::kPages, FileType::kPageSums, FileType::kPackedPages})
    (void)unlinkat(dir_.get(), name_of(type).c_str(), 0);
  if (made_directory_) (void)rmdir(directory_.c_str());
}

}  // namespace cryostat::image
