#include "engine/files/ghost_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "engine/base/unbroken.h"
#include "engine/files/collect_context.h"
#include "engine/files/file_place.h"
#include "engine/image/checkpoint_writer.h"
#include "proto/files.pb.h"

namespace cryostat::files {

namespace {

constexpr uint64_t kChunkBytes = 1u << 20;  // the bound files.proto promises
constexpr int64_t kSecondNs = 1'000'000'000;

int64_t to_ns(const struct timespec& time) { return time.tv_sec * kSecondNs + time.tv_nsec; }

struct timespec from_ns(int64_t ns) {
  auto seconds = ns / kSecondNs;
  auto rest = ns % kSecondNs;
  if (rest < 0) {  // before 1970
    rest += kSecondNs;
    --seconds;
  }
  return {seconds, rest};
}

pb::GhostData describe(const PendingGhost& ghost) {
  pb::GhostData data;
  data.set_ghost_id(ghost.id);
  data.set_path(ghost.path);
  data.set_size_bytes(static_cast<uint64_t>(ghost.st.st_size));
  data.set_mode(ghost.st.st_mode);
  data.set_uid(ghost.st.st_uid);
  data.set_gid(ghost.st.st_gid);
  data.set_atime_ns(to_ns(ghost.st.st_atim));
  data.set_mtime_ns(to_ns(ghost.st.st_mtim));
  return data;
}

// [start, end) of the next data at or after `offset`; end == start when only a hole is left.
Result<std::pair<off_t, off_t>> next_data(const PendingGhost& ghost, off_t offset) {
  const int fd = ghost.content.get();
  const off_t size = ghost.st.st_size;
  const off_t start = lseek(fd, offset, SEEK_DATA);
  if (start < 0 && errno == ENXIO) return std::pair(size, size);
  if (start < 0 && errno == EINVAL) return std::pair(offset, size);  // no SEEK_DATA here: all data
  if (start < 0) return fail_errno(fmt::format("find data of deleted file {}", ghost.path));
  const off_t end = lseek(fd, start, SEEK_HOLE);
  if (end < 0) return fail_errno(fmt::format("find holes of deleted file {}", ghost.path));
  return std::pair(std::min(start, size), std::min(end, size));
}

// A new file that had the name `path` for a moment; invalid when something has it already.
Result<UniqueFd> open_deleted(const std::string& path) {
  UniqueFd fd;
  int open_error = 0;
  int unlink_error = 0;
  run_unbroken([&] {
    fd.reset(open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd)
      open_error = errno;
    else if (unlink(path.c_str()) != 0)
      unlink_error = errno;
  });
  if (open_error != 0 && open_error != EEXIST)
    return fail_errno(open_error, fmt::format("create {}", path));
  if (unlink_error != 0) return fail_errno(unlink_error, fmt::format("unlink {}", path));
  return fd;
}

Result<UniqueFd> open_nameless(const std::string& directory, Linkable linkable) {
  const int exclusive = linkable == Linkable::kNo ? O_EXCL : 0;
  UniqueFd fd(open(directory.c_str(), O_TMPFILE | O_RDWR | exclusive | O_CLOEXEC, 0600));
  if (fd) return fd;
  // What file systems and kernels without O_TMPFILE say (open(2)).
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
    return fail_errno(fmt::format("create a file without a name in {}", directory));
  for (int attempt = 0; attempt < 16; ++attempt) {
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random) return fail_errno("getrandom");
    const auto path = fmt::format("{}/.cryostat-{:016x}", directory, random);
    fd = TRY(open_deleted(path));
    if (fd) return fd;
  }
  return fail(ErrorKind::kFailed, fmt::format("no free name in {}", directory));
}

Result<void> write_chunk(int fd, const pb::GhostData& data) {
  std::string_view rest = data.chunk();
  auto offset = static_cast<off_t>(data.chunk_offset_bytes());
  while (!rest.empty()) {
    const auto wrote = pwrite(fd, rest.data(), rest.size(), offset);
    if (wrote < 0) return fail_errno(fmt::format("write deleted file {}", data.path()));
    rest.remove_prefix(static_cast<size_t>(wrote));
    offset += wrote;
  }
  return {};
}

Result<void> set_attributes(int fd, const pb::GhostData& data) {
  const auto what = [&](const char* action) {
    return fmt::format("{} deleted file {}", action, data.path());
  };
  if (ftruncate(fd, static_cast<off_t>(data.size_bytes())) != 0)
    return fail_errno(what("set size of"));
  struct stat st;
  if (fstat(fd, &st) != 0) return fail_errno(what("stat"));
  if ((st.st_uid != data.uid() || st.st_gid != data.gid()) &&
      fchown(fd, data.uid(), data.gid()) != 0)
    return fail_errno(what("set owner of"));
  // After the owner: chown(2) clears the set-user-ID bits.
  if (fchmod(fd, data.mode() & 07777) != 0) return fail_errno(what("set mode of"));
  const std::array times = {from_ns(data.atime_ns()), from_ns(data.mtime_ns())};
  if (futimens(fd, times.data()) != 0) return fail_errno(what("set times of"));
  return {};
}

}  // namespace

Result<void> write_ghost(const PendingGhost& ghost, image::CheckpointWriter& writer) {
  auto data = describe(ghost);
  bool wrote_any = false;
  for (off_t offset = 0; offset < ghost.st.st_size;) {
    const auto [start, end] = TRY(next_data(ghost, offset));
    for (offset = start; offset < end;) {
      auto& chunk = *data.mutable_chunk();
      chunk.resize(std::min<uint64_t>(kChunkBytes, static_cast<uint64_t>(end - offset)));
      const auto got = pread(ghost.content.get(), chunk.data(), chunk.size(), offset);
      if (got < 0) return fail_errno(fmt::format("read deleted file {}", ghost.path));
      if (got == 0)
        return fail(ErrorKind::kFailed,
                    fmt::format("deleted file {} shrank while it was read", ghost.path));
      chunk.resize(static_cast<size_t>(got));
      data.set_chunk_offset_bytes(static_cast<uint64_t>(offset));
      TRY(writer.append(image::FileType::kFiles, data));
      wrote_any = true;
      offset += got;
    }
    offset = std::max(offset, end);
  }
  if (wrote_any) return {};
  data.clear_chunk();
  data.set_chunk_offset_bytes(0);
  return writer.append(image::FileType::kFiles, data);
}

Result<UniqueFd> create_ghost_file(const std::string& path, uint32_t id,
                                   std::span<const pb::GhostData> chunks, Linkable linkable) {
  UniqueFd fd;
  // Only a file of O_TMPFILE can be given a name again (linkat(2)).
  // The folder may be gone, or not be ours to write to: then it is as if the name were taken.
  if (linkable == Linkable::kNo)
    if (auto deleted = open_deleted(path); deleted.has_value()) fd = std::move(*deleted);
  if (!fd) fd = TRY(open_nameless(directory_of(path), linkable));
  const pb::GhostData* last = nullptr;
  for (const auto& data : chunks) {
    if (data.ghost_id() != id) continue;
    TRY(write_chunk(fd.get(), data));
    last = &data;
  }
  if (last == nullptr)
    return fail(ErrorKind::kImages, fmt::format("deleted file {} has no content in the image", id));
  TRY(set_attributes(fd.get(), *last));
  return fd;
}

}  // namespace cryostat::files
