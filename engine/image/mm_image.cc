#include "engine/image/mm_image.h"

#include <fmt/format.h>

#include "engine/base/ids.h"
#include "engine/image/checkpoint_reader.h"

namespace cryostat::image {

namespace {

// End of user addresses with five-level page tables; [vsyscall] lies above.
constexpr uint64_t kUserEnd = uint64_t{1} << 56;
constexpr uint64_t kMaxFileOffset = uint64_t{1} << 63;
// sysctl vm.max_map_count is 65530 by default; far above any sensible setting.
constexpr uint32_t kMaxVmas = 4u << 20;

bool aligned(uint64_t value) { return value % kPageSize == 0; }

bool good_hugetlb_size(uint64_t bytes) {
  return bytes == 0 || (bytes > kPageSize && (bytes & (bytes - 1)) == 0);
}

std::string wrong_with(const pb::AddressSpace& space) {
  if (space.id() == 0) return "id 0";
  if (space.vma_count() > kMaxVmas) return fmt::format("{} mappings", space.vma_count());
  if (!aligned(space.vdso_start()) || !aligned(space.vvar_start())) return "unaligned vDSO";
  return "";
}

std::string wrong_with(const pb::Vma& vma) {
  if (!aligned(vma.start()) || !aligned(vma.end()) || vma.start() >= vma.end())
    return fmt::format("bad address range {:x}-{:x}", vma.start(), vma.end());
  if (vma.backing() != pb::Vma::VSYSCALL && vma.end() > kUserEnd)
    return fmt::format("address range {:x}-{:x} is not user memory", vma.start(), vma.end());
  if (!pb::Vma::Backing_IsValid(vma.backing()))
    return fmt::format("unknown backing {}", static_cast<int>(vma.backing()));
  if (vma.protection() > 7) return fmt::format("protection {}", vma.protection());
  if (vma.protection_key() > 15) return fmt::format("protection key {}", vma.protection_key());
  if (!good_hugetlb_size(vma.hugetlb_page_size_bytes()))
    return fmt::format("huge page size {}", vma.hugetlb_page_size_bytes());
  if (!aligned(vma.file_offset_bytes()) || vma.file_offset_bytes() >= kMaxFileOffset)
    return fmt::format("file offset {}", vma.file_offset_bytes());
  if ((vma.backing() == pb::Vma::FILE) != (vma.file_id() != 0))
    return "file id and backing disagree";
  if ((vma.backing() == pb::Vma::SHARED_MEMORY) != (vma.shared_memory_id() != 0))
    return "shared memory id and backing disagree";
  if (vma.name().size() > 255) return "name too long";
  if (vma.guard_pages_size() % 2 != 0) return "odd number of guard page bounds";
  uint64_t last = vma.start();
  for (const uint64_t bound : vma.guard_pages()) {
    if (!aligned(bound) || bound < last || bound > vma.end()) return "guard pages outside of it";
    last = bound;
  }
  return "";
}

std::string wrong_with(const pb::SharedMemory& shared) {
  if (!pb::SharedMemory::Kind_IsValid(shared.kind()))
    return fmt::format("unknown kind {}", static_cast<int>(shared.kind()));
  if (shared.size_bytes() >= kMaxFileOffset)
    return fmt::format("{} bytes long", shared.size_bytes());
  if (!good_hugetlb_size(shared.hugetlb_page_size_bytes()))
    return fmt::format("huge page size {}", shared.hugetlb_page_size_bytes());
  return "";
}

bool complete(const MmImage& image) {
  return image.spaces.empty() ||
         image.spaces.back().vmas.size() == image.spaces.back().space.vma_count();
}

Result<void> add_vma(MmImage& image, const RecordReader& records, const RecordView& record) {
  auto vma = TRY(records.parse<pb::Vma>(record));
  if (const auto wrong = wrong_with(vma); !wrong.empty()) return records.fail_at(record, wrong);
  if (complete(image)) return records.fail_at(record, "a mapping that belongs to no address space");
  auto& vmas = image.spaces.back().vmas;
  if (!vmas.empty() && vma.start() < vmas.back().end())
    return records.fail_at(
        record, fmt::format("{:x}-{:x} overlaps the mapping before it", vma.start(), vma.end()));
  vmas.push_back(std::move(vma));
  return {};
}

Result<void> add_record(MmImage& image, const RecordReader& records, const RecordView& record) {
  if (record.is<pb::Vma>()) return add_vma(image, records, record);
  if (!complete(image))
    return records.fail_at(record, "the address space before it lacks mappings");
  if (record.is<pb::AddressSpace>()) {
    auto space = TRY(records.parse<pb::AddressSpace>(record));
    if (const auto wrong = wrong_with(space); !wrong.empty()) return records.fail_at(record, wrong);
    if (const uint32_t id = space.id(); !image.add_space(std::move(space)))
      return records.fail_at(record, fmt::format("id {} twice", id));
    return {};
  }
  if (record.is<pb::MappedFile>()) {
    image.files.push_back(TRY(records.parse<pb::MappedFile>(record)));
    if (image.files.back().id() != image.files.size())
      return records.fail_at(record, "ids are not in order");
    return {};
  }
  if (record.is<pb::IpcNamespace>()) {
    if (image.ipc) return records.fail_at(record, "two IPC namespaces");
    image.ipc = TRY(records.parse<pb::IpcNamespace>(record));
    return {};
  }
  image.shared.push_back(TRY(records.parse<pb::SharedMemory>(record)));
  if (image.shared.back().id() != image.shared.size())
    return records.fail_at(record, "ids are not in order");
  if (const auto wrong = wrong_with(image.shared.back()); !wrong.empty())
    return records.fail_at(record, wrong);
  return {};
}

// Each segment has its memory, and the memory its segment.
Result<void> check_segments(const MmImage& image, const std::string& path) {
  size_t segments = 0;
  for (const auto& shared : image.shared)
    segments += shared.kind() == pb::SharedMemory::SYSV ? 1 : 0;
  const pb::IpcNamespace none;
  for (const auto& segment : (image.ipc ? *image.ipc : none).segments()) {
    const auto* const shared = image.shared_memory(segment.shared_memory_id());
    if (shared == nullptr || shared->kind() != pb::SharedMemory::SYSV ||
        shared->sysv_id() != segment.id() || segments-- == 0)
      return fail(ErrorKind::kImages,
                  fmt::format("{}: System V segment {} has no memory", path, segment.id()));
  }
  if (segments != 0)
    return fail(ErrorKind::kImages,
                fmt::format("{}: memory of a System V segment that is not there", path));
  return {};
}

Result<void> check_references(const MmImage& image, const std::string& path) {
  for (const auto& space : image.spaces)
    for (const auto& vma : space.vmas)
      if (vma.file_id() > image.files.size() || vma.shared_memory_id() > image.shared.size())
        return fail(ErrorKind::kImages,
                    fmt::format("{}: mapping {:x}-{:x} names an object that is not there", path,
                                vma.start(), vma.end()));
  for (const auto& [space, vmas] : image.spaces) {
    const auto* const with_bytes = image.space(space.vdso_image_space());
    if (space.vdso_image_space() != 0 &&
        (with_bytes == nullptr || with_bytes->space.vdso_image_space() != 0))
      return fail(ErrorKind::kImages,
                  fmt::format("{}: the vDSO of address space {} is not there", path, space.id()));
  }
  return check_segments(image, path);
}

}  // namespace

const AddressSpaceImage* MmImage::space(uint32_t id) const {
  const auto place = places_.find(id);
  return place == places_.end() ? nullptr : &spaces[place->second];
}

bool MmImage::add_space(pb::AddressSpace space) {
  if (!places_.emplace(space.id(), spaces.size()).second) return false;
  spaces.push_back({std::move(space), {}});
  return true;
}

const pb::SharedMemory* MmImage::shared_memory(uint32_t id) const {
  return id == 0 || id > shared.size() ? nullptr : &shared[id - 1];
}

const std::string& MmImage::vdso_image(const pb::AddressSpace& of) const {
  const auto* const with_bytes = space(of.vdso_image_space());
  return (with_bytes == nullptr ? of : with_bytes->space).vdso_image();
}

Result<MmImage> load_mm(const CheckpointReader& reader) {
  auto records = TRY(reader.records(FileType::kMemory));
  MmImage image;
  while (const auto record = TRY(records.next())) TRY(add_record(image, records, *record));
  if (image.spaces.empty() || !complete(image))
    return fail(ErrorKind::kImages,
                fmt::format("{}: mappings are missing at its end", records.path()));
  TRY(check_references(image, records.path()));
  return image;
}

}  // namespace cryostat::image
