#include "engine/memory/shared_memory_fds.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "engine/base/ids.h"
#include "engine/image/mm_image.h"
#include "engine/image/pagemap_image.h"
#include "engine/memory/stored_pages.h"
#include "engine/memory/sysv_segment.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

namespace cryostat::memory {

namespace {

// How much of an object is mapped at a time while it is filled.
constexpr uint64_t kWindowBytes = 64 << 20;

unsigned huge_page_flags(uint64_t page_size_bytes, unsigned flag) {
  if (page_size_bytes == 0) return 0;
  return flag | static_cast<unsigned>(std::countr_zero(page_size_bytes)) << MFD_HUGE_SHIFT;
}

Failure creation_failure(const pb::SharedMemory& object, const char* what) {
  const int error = errno;
  return Failure(
      Error::from_errno(error, fmt::format("{} shared memory {} `{}` ({} bytes)", what, object.id(),
                                           object.name(), object.size_bytes())));
}

Result<UniqueFd> create_memfd(const pb::SharedMemory& object) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  flags |= huge_page_flags(object.hugetlb_page_size_bytes(), MFD_HUGETLB);
  // Whether it may be executed is part of the mode, which is set below; the flag (6.3) only keeps
  // the kernel from warning about its absence.
  UniqueFd fd(memfd_create(object.name().c_str(), flags | MFD_EXEC));
  if (!fd && errno == EINVAL) fd = UniqueFd(memfd_create(object.name().c_str(), flags));
  if (!fd) return creation_failure(object, "create");
  return fd;
}

// Only mmap(2) makes an object that maps call "/dev/zero (deleted)"; procfs gives a descriptor of
// it.
Result<UniqueFd> create_anonymous(const pb::SharedMemory& object, bool no_reserve) {
  const uint64_t bytes = page_align_up(std::max<uint64_t>(object.size_bytes(), 1));
  int flags = MAP_SHARED | MAP_ANONYMOUS | (no_reserve ? MAP_NORESERVE : 0);
  flags |= static_cast<int>(huge_page_flags(object.hugetlb_page_size_bytes(), MAP_HUGETLB));
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (at == MAP_FAILED) return creation_failure(object, "create");
  const auto start = reinterpret_cast<uint64_t>(at);
  const std::string link = fmt::format("/proc/self/map_files/{:x}-{:x}", start, start + bytes);
  UniqueFd fd(open(link.c_str(), O_RDWR | O_CLOEXEC));
  const int error = errno;
  munmap(at, bytes);
  errno = error;
  if (!fd) return creation_failure(object, "open");
  return fd;
}

// A file without a name in the directory where it was; in memory when that directory is gone.
Result<UniqueFd> create_deleted_file(const pb::SharedMemory& object) {
  const std::string& path = object.name();
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos) {
    const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
    UniqueFd fd(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd) return fd;
  }
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  UniqueFd fd(memfd_create(name.substr(0, 200).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return creation_failure(object, "create");
  return fd;
}

Result<void> set_attributes(int fd, const pb::SharedMemory& object) {
  if (object.kind() == pb::SharedMemory::SYSV) return {};  // it has them
  struct stat now = {};
  if (fstat(fd, &now) != 0) return creation_failure(object, "stat");
  if (static_cast<uint64_t>(now.st_size) != object.size_bytes() &&
      ftruncate(fd, static_cast<off_t>(object.size_bytes())) != 0)
    return creation_failure(object, "resize");
  if ((now.st_uid != object.uid() || now.st_gid != object.gid()) &&
      fchown(fd, object.uid(), object.gid()) != 0)
    return creation_failure(object, "set the owner of");
  if ((now.st_mode & 07777) != (object.mode() & 07777) && fchmod(fd, object.mode() & 07777) != 0)
    return creation_failure(object, "set the mode of");
  return {};
}

// A mapping of part of an object, moved along as runs are filled in.
class Window {
 public:
  Window(int fd, uint64_t object_bytes) : fd_(fd), object_bytes_(object_bytes) {}
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  ~Window() { unmap(); }

  // The bytes from `offset` that are mapped, at least one page.
  Result<std::span<uint8_t>> at(uint64_t offset) {
    if (base_ == nullptr || offset < start_ || offset >= start_ + size_) {
      unmap();
      start_ = offset / kWindowBytes * kWindowBytes;
      size_ = std::min(kWindowBytes, object_bytes_ - start_);
      void* const mapped =
          mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, static_cast<off_t>(start_));
      if (mapped == MAP_FAILED) return fail_errno("map a shared memory object");
      base_ = static_cast<uint8_t*>(mapped);
    }
    return std::span(base_ + (offset - start_), size_ - (offset - start_));
  }

 private:
  void unmap() {
    if (base_ != nullptr) munmap(base_, size_);
    base_ = nullptr;
  }
  int fd_;
  uint64_t object_bytes_;
  uint8_t* base_ = nullptr;
  uint64_t start_ = 0;
  uint64_t size_ = 0;
};

// The object's size in whole pages: what lies behind its end in the last page is cut off again by
// the kernel when it is read.
Result<void> fill(int fd, const pb::SharedMemory& object, const std::vector<image::PageRun>& runs,
                  std::span<const StoreFiles> stores) {
  const uint64_t bytes = page_align_up(object.size_bytes());
  Window window(fd, bytes);
  for (const image::PageRun& run : runs) {
    if (run.page_index == image::kZeroPage) continue;  // a new object is zero
    uint64_t left = run.page_count * kPageSize;
    if (run.address > bytes || left > bytes - run.address)
      return fail(ErrorKind::kImages,
                  fmt::format("pages beyond the end of shared memory {}", object.id()));
    for (uint64_t offset = run.address, index = run.page_index; left > 0;) {
      const std::span<uint8_t> to = TRY(window.at(offset));
      const uint64_t part = std::min<uint64_t>(to.size(), left);
      TRY(read_stored_pages(stores[run.store], to.first(part), index));
      offset += part;
      index += part / kPageSize;
      left -= part;
    }
  }
  return {};
}

Result<UniqueFd> reopen(int fd, int mode) {
  UniqueFd other(open(fmt::format("/proc/self/fd/{}", fd).c_str(), mode | O_CLOEXEC));
  if (!other) return fail_errno("open a shared memory object again");
  return other;
}

// Reservation is decided when an object is created, but only its mappings tell.
bool is_no_reserve(const image::MmImage& mm, uint32_t id) {
  for (const image::AddressSpaceImage& space : mm.spaces)
    for (const pb::Vma& vma : space.vmas)
      if (vma.shared_memory_id() == id && vma.shared() && vma.no_reserve()) return true;
  return false;
}

bool is_executed(const image::MmImage& mm, uint32_t id) {
  return std::any_of(mm.spaces.begin(), mm.spaces.end(),
                     [id](const auto& space) { return space.space.exe_shared_memory_id() == id; });
}

bool is_sealed(const pb::SharedMemory& object) {
  return object.kind() == pb::SharedMemory::MEMFD && object.seals() != 0;
}

Result<UniqueFd> create_object(const image::MmImage& mm, const pb::SharedMemory& object) {
  switch (object.kind()) {
    case pb::SharedMemory::MEMFD:
      return create_memfd(object);
    case pb::SharedMemory::ANONYMOUS_SHARED:
      return create_anonymous(object, is_no_reserve(mm, object.id()));
    case pb::SharedMemory::DELETED_FILE:
      return create_deleted_file(object);
    case pb::SharedMemory::SYSV:
      return open_sysv_segment(object.sysv_id());
    default:
      return fail(ErrorKind::kImages, fmt::format("shared memory {} is of unknown kind {}",
                                                  object.id(), static_cast<int>(object.kind())));
  }
}

}  // namespace

bool is_sealed_last(const image::MmImage& mm, const pb::SharedMemory& object) {
  return is_sealed(object) && !is_executed(mm, object.id());
}

Result<int> SharedMemoryFds::create(const image::MmImage& mm, const image::PagemapImage& pagemap,
                                    std::span<const StoreFiles> stores, uint32_t id) {
  const pb::SharedMemory* object = mm.shared_memory(id);
  if (object == nullptr)
    return fail(ErrorKind::kImages, fmt::format("there is no shared memory {}", id));
  UniqueFd fd = TRY(create_object(mm, *object));
  TRY(set_attributes(fd.get(), *object));
  TRY_IN(fill(fd.get(), *object, pagemap.runs(pb::PageRuns::SHARED_MEMORY, id), stores),
         fmt::format("fill shared memory {} `{}`", id, object->name()));
  if (is_sealed(*object) && is_executed(mm, id) &&
      fcntl(fd.get(), F_ADD_SEALS, object->seals()) != 0)
    return creation_failure(*object, "seal");
  TRY(adopt(id, TRY(reopen(fd.get(), O_PATH))));
  return entries_.back().path;
}

Result<void> SharedMemoryFds::adopt(uint32_t id, UniqueFd path) {
  entries_.push_back({id, TRY(service_fds_->adopt(std::move(path)))});
  return {};
}

Result<int> SharedMemoryFds::open_as(uint32_t id, int mode) {
  for (Entry& entry : entries_) {
    if (entry.id != id) continue;
    int& number = mode == O_RDWR ? entry.read_write : entry.read_only;
    if (number < 0) number = TRY(service_fds_->adopt(TRY(reopen(entry.path, mode))));
    return number;
  }
  return fail(ErrorKind::kImages, fmt::format("there is no shared memory {}", id));
}

}  // namespace cryostat::memory
