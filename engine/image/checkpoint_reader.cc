#include "engine/image/checkpoint_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <set>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/span.h"
#include "engine/image/file_hash.h"
#include "engine/image/packed_pages.h"
#include "proto/manifest.pb.h"
#include "proto/page_blocks.pb.h"

namespace cryostat::image {

namespace {

Failure images_error(std::string what) { return fail(ErrorKind::kImages, std::move(what)); }

// Why a folder without manifest.img is no checkpoint.
Failure no_manifest(int dir, const std::string& directory) {
  for (uint32_t type = 2; type <= static_cast<uint32_t>(kLastFileType); ++type) {
    const std::string name(file_name(static_cast<FileType>(type)));
    if (faccessat(dir, name.c_str(), F_OK, 0) == 0)
      return tl::unexpected(
          Error(ErrorKind::kImages,
                fmt::format("{} is incomplete: the dump was interrupted (no manifest.img)",
                            directory))
              .with_hint("dump the process again"));
  }
  return tl::unexpected(Error(ErrorKind::kImages, fmt::format("{} holds no checkpoint", directory))
                            .with_hint("name the folder of a checkpoint with -D"));
}

Result<pb::Manifest> read_manifest(int dir, const std::string& directory) {
  const std::string name(file_name(FileType::kManifest));
  const std::string path = directory + "/" + name;
  UniqueFd fd(openat(dir, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd && errno == ENOENT) return no_manifest(dir, directory);
  if (!fd) return fail_errno(fmt::format("open {}", path));
  auto reader = TRY(RecordReader::open(std::move(fd), path, FileType::kManifest));
  const auto record = TRY(reader.next());
  if (!record) return images_error(fmt::format("{}: truncated: no manifest record", path));
  auto manifest = TRY(reader.parse<pb::Manifest>(*record));
  if (TRY(reader.next())) return images_error(fmt::format("{}: more than one record", path));
  return manifest;
}

// A name inside the folder that can be opened and printed.
bool is_file_name(const std::string& name) {
  const auto fits = [](char c) { return c > ' ' && c < 0x7f && c != '/'; };
  return !name.empty() && name.size() <= NAME_MAX && std::all_of(name.begin(), name.end(), fits);
}

Result<void> check_manifest(const pb::Manifest& manifest, const std::string& directory) {
  if (manifest.format_version() > kImageFormatVersion)
    return images_error(
        fmt::format("{}: written in image format version {}, this build reads up to {}", directory,
                    manifest.format_version(), kImageFormatVersion));
  if (manifest.cpu().architecture() != "x86_64")
    return fail(ErrorKind::kMachine,
                fmt::format("{}: taken on architecture {}, this machine is x86_64", directory,
                            manifest.cpu().architecture().empty() ? "(none named)"
                                                                  : manifest.cpu().architecture()));
  if (manifest.page_size_bytes() != kPageSize)
    return fail(ErrorKind::kMachine,
                fmt::format("{}: taken with pages of {} bytes, this machine has {}", directory,
                            manifest.page_size_bytes(), kPageSize));
  std::set<std::string> names;
  for (const auto& file : manifest.files()) {
    if (!is_file_name(file.name()))
      return images_error(
          fmt::format("{}: file {} of the manifest has a bad name", directory, names.size() + 1));
    if (!names.insert(file.name()).second)
      return images_error(fmt::format("{}: the manifest names {} twice", directory, file.name()));
  }
  return {};
}

const pb::ImageFile* find_file(const pb::Manifest& manifest, std::string_view name) {
  for (const auto& file : manifest.files())
    if (file.name() == name) return &file;
  return nullptr;
}

Result<uint64_t> hash_file(int fd, const std::string& path) {
  FileHash hash;
  std::vector<uint8_t> buffer(128 << 10);
  for (;;) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got == 0) return hash.value();
    if (got > 0) {
      hash.add(buffer.data(), static_cast<size_t>(got));
    } else if (errno != EINTR) {
      return fail_errno(fmt::format("read {}", path));
    }
  }
}

}  // namespace

CheckpointReader::CheckpointReader(UniqueFd dir, std::string directory,
                                   std::unique_ptr<pb::Manifest> manifest)
    : dir_(std::move(dir)), directory_(std::move(directory)), manifest_(std::move(manifest)) {}

CheckpointReader::CheckpointReader(CheckpointReader&& other) noexcept { *this = std::move(other); }

CheckpointReader& CheckpointReader::operator=(CheckpointReader&& other) noexcept {
  std::swap(dir_, other.dir_);
  std::swap(directory_, other.directory_);
  std::swap(manifest_, other.manifest_);
  std::swap(pages_, other.pages_);
  std::swap(packed_pages_, other.packed_pages_);
  std::swap(blocks_, other.blocks_);
  std::swap(unpacked_, other.unpacked_);
  std::swap(sums_file_, other.sums_file_);
  std::swap(sums_mapping_, other.sums_mapping_);
  std::swap(sums_mapping_bytes_, other.sums_mapping_bytes_);
  std::swap(sums_, other.sums_);
  return *this;
}

CheckpointReader::~CheckpointReader() {
  if (sums_mapping_ != nullptr) munmap(sums_mapping_, sums_mapping_bytes_);
}

Result<CheckpointReader> CheckpointReader::open(const std::string& directory) {
  const Span span("image.open");
  UniqueFd dir(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) {
    Error error = Error::from_errno(errno, fmt::format("open checkpoint folder {}", directory));
    if (error.errno_value() == ENOENT || error.errno_value() == ENOTDIR)
      return tl::unexpected(std::move(error).as(ErrorKind::kImages));
    return tl::unexpected(std::move(error));
  }
  auto manifest = std::make_unique<pb::Manifest>(TRY(read_manifest(dir.get(), directory)));
  TRY(check_manifest(*manifest, directory));
  CheckpointReader reader(std::move(dir), directory, std::move(manifest));
  TRY(reader.verify_files());
  TRY(reader.load_blocks());
  TRY(reader.map_sums());
  return reader;
}

Result<UniqueFd> CheckpointReader::open_file(std::string_view name, uint64_t expected_bytes) const {
  const std::string path = fmt::format("{}/{}", directory_, name);
  // O_NONBLOCK: a FIFO in the folder must not hang us.
  UniqueFd fd(
      openat(dir_.get(), std::string(name).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd && errno == ENOENT) return images_error(fmt::format("{} is missing", path));
  if (!fd) return fail_errno(fmt::format("open {}", path));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return fail_errno(fmt::format("stat {}", path));
  if (!S_ISREG(info.st_mode)) return images_error(fmt::format("{} is not a regular file", path));
  const auto size_bytes = static_cast<uint64_t>(info.st_size);
  if (size_bytes != expected_bytes)
    return images_error(fmt::format("{}: {}: {} bytes long, the manifest says {}", path,
                                    size_bytes < expected_bytes ? "truncated" : "damaged",
                                    size_bytes, expected_bytes));
  return fd;
}

Result<void> CheckpointReader::verify_files() {
  for (const auto& file : manifest_->files()) {
    UniqueFd fd = TRY(open_file(file.name(), file.size_bytes()));
    if (file.name() == file_name(FileType::kPages)) {
      pages_ = std::move(fd);
      continue;
    }
    if (file.name() == file_name(FileType::kPackedPages)) {
      packed_pages_ = std::move(fd);
      continue;
    }
    const std::string path = directory_ + "/" + file.name();
    if (TRY(hash_file(fd.get(), path)) != file.xxh3())
      return images_error(
          fmt::format("{}: damaged: its checksum is not the one in the manifest", path));
  }
  if (!pages_ && !packed_pages_)
    return images_error(fmt::format("{}: the manifest names no pages.img", directory_));
  return {};
}

Result<void> CheckpointReader::load_blocks() {
  if (pages_) return {};
  auto reader = TRY(records(FileType::kPageBlocks));
  const auto record = TRY(reader.next());
  if (!record)
    return images_error(
        fmt::format("{}/{}: no record", directory_, file_name(FileType::kPageBlocks)));
  blocks_ = std::make_unique<pb::PageBlocks>(TRY(reader.parse<pb::PageBlocks>(*record)));
  struct stat info;
  if (fstat(packed_pages_.get(), &info) != 0) return fail_errno("stat the packed pages");
  const auto wrong = check_page_blocks(*blocks_, static_cast<uint64_t>(info.st_size));
  if (!wrong.empty()) return reader.fail_at(*record, wrong);
  return {};
}

Result<void> CheckpointReader::load_pages(unsigned threads, const StopRequest& stop) {
  if (!packed() || unpacked_) return {};
  pages_ = TRY(open_scratch_file(dir_.get(), directory_));
  const std::string path = fmt::format("{}/{}", directory_, file_name(FileType::kPackedPages));
  TRY(unpack_pages(packed_pages_.get(), path, *blocks_, pages_.get(), threads, stop));
  unpacked_ = true;
  return {};
}

Result<void> CheckpointReader::map_sums() {
  const std::string name(file_name(FileType::kPageSums));
  const pb::ImageFile* file = find_file(*manifest_, name);
  if (file == nullptr || file->size_bytes() < sizeof(FileHeader))
    return images_error(fmt::format("{}/{}: missing or truncated", directory_, name));
  const uint64_t pages_bytes =
      packed() ? blocks_->page_count() * kPageSize
               : find_file(*manifest_, file_name(FileType::kPages))->size_bytes();
  const uint64_t sums_bytes = file->size_bytes() - sizeof(FileHeader);
  if (pages_bytes % kPageSize != 0 || sums_bytes % sizeof(PageSum) != 0 ||
      sums_bytes / sizeof(PageSum) != pages_bytes / kPageSize)
    return images_error(fmt::format("{}/{}: {} bytes of sums for {} bytes of pages", directory_,
                                    name, sums_bytes, pages_bytes));
  sums_file_ = TRY(open_file(name, file->size_bytes()));
  void* mapping = mmap(nullptr, file->size_bytes(), PROT_READ, MAP_PRIVATE, sums_file_.get(), 0);
  if (mapping == MAP_FAILED) return fail_errno(fmt::format("map {}/{}", directory_, name));
  sums_mapping_ = mapping;
  sums_mapping_bytes_ = file->size_bytes();
  FileHeader header;
  std::memcpy(&header, mapping, sizeof(header));
  TRY(check_file_header(header, FileType::kPageSums, directory_ + "/" + name));
  sums_ = {reinterpret_cast<const PageSum*>(static_cast<const char*>(mapping) + sizeof(header)),
           sums_bytes / sizeof(PageSum)};
  return {};
}

bool CheckpointReader::has(FileType type) const {
  return find_file(*manifest_, file_name(type)) != nullptr;
}

Result<RecordReader> CheckpointReader::records(FileType type) const {
  const pb::ImageFile* file = find_file(*manifest_, file_name(type));
  if (file == nullptr)
    return images_error(fmt::format("{}: the manifest names no {}", directory_, file_name(type)));
  UniqueFd fd = TRY(open_file(file->name(), file->size_bytes()));
  return RecordReader::open(std::move(fd), directory_ + "/" + file->name(), type);
}

uint64_t record_bytes(const std::string& directory) {
  uint64_t sum = 0;
  for (const FileType type :
       {FileType::kTasks, FileType::kMemory, FileType::kFiles, FileType::kPagemap}) {
    struct stat info;
    if (stat(fmt::format("{}/{}", directory, file_name(type)).c_str(), &info) == 0)
      sum += static_cast<uint64_t>(info.st_size);
  }
  return sum;
}

}  // namespace cryostat::image
