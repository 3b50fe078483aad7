#include "engine/memory/address_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "engine/arch/x86_64/vdso.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/kernel/process_memory.h"
#include "engine/memory/mm_layout.h"
#include "engine/memory/shared_memory.h"
#include "engine/memory/unnamed_flags.h"
#include "engine/memory/vdso_images.h"
#include "engine/memory/vma_backing.h"
#include "engine/memory/vma_reader.h"
#include "engine/procfs/maps.h"
#include "engine/procfs/statm.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

using procfs::SmapsEntry;
using procfs::VmFlags;

constexpr uint64_t kMaxVdsoBytes = 64 << 10;

// A System V segment has its id as inode number, which may be 0.
bool has_file(const SmapsEntry& entry) {
  return entry.inode != 0 || (!entry.name.empty() && !entry.name.starts_with('['));
}

// Why a VMA with these flags can't be saved; empty when it can.
std::string refused_by_flags(const SmapsEntry& entry) {
  const VmFlags& flags = entry.flags;
  if (flags.has(VmFlags::kUffdMissing) || flags.has(VmFlags::kUffdMinor))
    return "memory registered with userfaultfd can't be checkpointed";
  if (flags.has(VmFlags::kShadowStack)) return "shadow stack can't be checkpointed";
  if (flags.has(VmFlags::kPureFrames) || flags.has(VmFlags::kIo))
    return "mapping of device memory can't be checkpointed";
  if (flags.has(VmFlags::kSyncFault)) return "MAP_SYNC mapping can't be checkpointed";
  if (flags.has(VmFlags::kUnknown))
    return fmt::format("VMA flag `{}` of this kernel is not known", entry.unknown_flags);
  if (entry.name == "[uprobes]") return "a uprobe is set in this process: remove it first";
  if (!has_file(entry) && entry.shared)
    return "shared mapping without a file can't be checkpointed";
  return {};
}

std::string_view name_between(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix) || !name.ends_with(']')) return {};
  return name.substr(prefix.size(), name.size() - prefix.size() - 1);
}

pb::Vma to_vma(const SmapsEntry& entry) {
  const VmFlags& flags = entry.flags;
  pb::Vma vma;
  vma.set_start(entry.start);
  vma.set_end(entry.end);
  vma.set_protection(static_cast<uint32_t>(entry.protection()));
  vma.set_shared(entry.shared);
  vma.set_grows_down(flags.has(VmFlags::kGrowsDown));
  vma.set_locked(flags.has(VmFlags::kLocked));
  vma.set_locked_on_fault(flags.has(VmFlags::kLockedOnFault));
  vma.set_no_reserve(flags.has(VmFlags::kNoReserve));
  vma.set_dont_fork(flags.has(VmFlags::kDontCopy));
  vma.set_dont_dump(flags.has(VmFlags::kDontDump));
  vma.set_wipe_on_fork(flags.has(VmFlags::kWipeOnFork));
  vma.set_huge_page(flags.has(VmFlags::kHugePage));
  vma.set_no_huge_page(flags.has(VmFlags::kNoHugePage));
  vma.set_mergeable(flags.has(VmFlags::kMergeable));
  vma.set_sequential_read(flags.has(VmFlags::kSequentialRead));
  vma.set_random_read(flags.has(VmFlags::kRandomRead));
  vma.set_account(flags.has(VmFlags::kAccountable));
  vma.set_sealed(flags.has(VmFlags::kSealed));
  vma.set_droppable(flags.has(VmFlags::kDroppable));
  if (flags.has(VmFlags::kHugeTlb)) vma.set_hugetlb_page_size_bytes(entry.kernel_page_size_bytes);
  vma.set_protection_key(entry.protection_key);
  if (entry.inode != 0) vma.set_file_offset_bytes(entry.offset_bytes);
  std::string_view name = name_between(entry.name, "[anon:");
  if (name.empty()) name = name_between(entry.name, "[anon_shmem:");
  vma.set_name(std::string(name));
  vma.set_file_writable(entry.shared && flags.has(VmFlags::kMayWrite));
  return vma;
}

class Collector {
 public:
  Collector(const TaskHandle& task, const CollectOptions& options, BackingFinder& finder,
            Refusals& refusals)
      : task_(task), options_(options), finder_(finder), refusals_(refusals) {
    state_.space.set_id(options.id);
    state_.space.set_owner_host_pid(task.pid().value);
    state_.space.set_owner_start_time_ticks(task.start_time_ticks());
  }

  Result<AddressSpaceState> run() {
    auto entries = TRY(read_areas());
    name_unnamed_flags(entries);
    for (const SmapsEntry& entry : entries) TRY(add(entry));
    pb::AddressSpace& space = state_.space;
    *space.mutable_layout() = TRY(read_mm_layout(task_, options_.current_brk));
    TRY(add_exe());
    TRY(add_vdso_image());
    TRY(add_total(entries));
    space.set_vma_count(static_cast<uint32_t>(state_.vmas.size()));
    return std::move(state_);
  }

 private:
  Result<std::vector<SmapsEntry>> read_areas() {
    if (options_.vmas != nullptr) return options_.vmas->take(task_);
    return procfs::parse_smaps(TRY(task_.proc().read("smaps")));
  }

  Result<void> add(const SmapsEntry& entry) {
    // Shared memory of its own each: never merged with a neighbour.
    for (const RemoteRange& other : options_.other_areas)
      if (entry.start < other.end && other.start < entry.end) return {};
    const RemoteRange& area = options_.parasite_area;
    if (entry.end <= area.start || entry.start >= area.end) return add_outside(entry);
    // Flags of a mapping made just now are the flags of every future one. The kernel may have
    // merged the area with a neighbour that looks the same: what sticks out is the target's.
    if (entry.flags.has(VmFlags::kLocked)) state_.space.set_lock_future(true);
    if (entry.flags.has(VmFlags::kLockedOnFault)) state_.space.set_lock_future_on_fault(true);
    SmapsEntry part = entry;
    part.end = area.start;
    if (part.start < part.end) TRY(add_outside(part));
    part = entry;
    part.start = area.end;
    if (part.start < part.end) TRY(add_outside(part));
    return {};
  }

  Result<void> add_outside(const SmapsEntry& entry) {
    if (entry.name == "[vsyscall]") return {};  // the same in every process, above user addresses
    pb::Vma vma = to_vma(entry);
    if (!add_system_mapping(entry, vma)) {
      std::string refusal = refused_by_flags(entry);
      if (entry.flags.has(VmFlags::kUffdWriteProtect) && !is_tracked())
        refusal = "memory registered with userfaultfd can't be checkpointed";
      if (refusal.empty() && has_file(entry)) {
        VmaBacking backing = TRY(finder_.find(entry));
        vma.set_backing(backing.backing);
        vma.set_file_id(backing.file_id);
        vma.set_shared_memory_id(backing.shared_memory_id);
        if (backing.backing == pb::Vma::ANONYMOUS) vma.set_file_offset_bytes(0);
        refusal = std::move(backing.refusal);
      }
      if (!refusal.empty()) {
        refusals_.add(task_.pid(), fmt::format("memory {:x}-{:x}", entry.start, entry.end),
                      std::move(refusal));
        return {};
      }
    }
    state_.vmas.push_back(std::move(vma));
    state_.private_bytes.push_back(private_bytes(entry));
    state_.write_protected.push_back(entry.flags.has(VmFlags::kUffdWriteProtect));
    return {};
  }

  bool is_tracked() {
    if (!is_tracked_) is_tracked_ = options_.is_tracked && options_.is_tracked();
    return *is_tracked_;
  }

  Result<void> add_total(const std::vector<SmapsEntry>& entries) {
    uint64_t& total = state_.private_total_bytes;
    for (const uint64_t bytes : state_.private_bytes) total += bytes;
    if (std::ranges::all_of(entries, &SmapsEntry::counted)) return {};
    const auto usage = TRY(procfs::parse_statm(TRY(task_.proc().read("statm"))));
    total = std::min(total, usage.private_pages() * kPageSize);
    return {};
  }

  static uint64_t private_bytes(const SmapsEntry& entry) {
    if (!entry.counted) return entry.shared ? 0 : entry.size_bytes();
    const uint64_t bytes = entry.anonymous_bytes + entry.swap_bytes + entry.private_hugetlb_bytes;
    return std::min(bytes, entry.size_bytes());
  }

  // vDSO and its data, which the kernel gives to every process.
  bool add_system_mapping(const SmapsEntry& entry, pb::Vma& vma) {
    if (entry.inode != 0) return false;
    pb::AddressSpace& space = state_.space;
    if (entry.name == "[vdso]") {
      vma.set_backing(pb::Vma::VDSO);
      space.set_vdso_start(entry.start);
      space.set_vdso_size_bytes(entry.size_bytes());
    } else if (entry.name.starts_with("[vvar")) {  // [vvar], and since 6.13 [vvar_vclock]
      vma.set_backing(pb::Vma::VVAR);
      if (space.vvar_start() == 0) space.set_vvar_start(entry.start);
      space.set_vvar_size_bytes(entry.end - space.vvar_start());
    } else {
      return false;
    }
    return true;
  }

  Result<void> add_exe() {
    const VmaBacking exe = TRY(finder_.find_exe());
    if (!exe.refusal.empty()) refusals_.add(task_.pid(), "exe", exe.refusal);
    state_.exe_file_id = exe.file_id;
    state_.space.set_exe_shared_memory_id(exe.shared_memory_id);
    return {};
  }

  Result<void> add_vdso_image() {
    pb::AddressSpace& space = state_.space;
    if (space.vdso_start() == 0 || space.vdso_size_bytes() > kMaxVdsoBytes) return {};
    std::string image(space.vdso_size_bytes(), '\0');
    TRY_IN(kernel::read_memory(task_.pid(), RemoteAddr(space.vdso_start()),
                               std::as_writable_bytes(std::span(image))),
           "read the vDSO");
    const std::span bytes(reinterpret_cast<const unsigned char*>(image.data()), image.size());
    const arch::Vdso vdso = TRY(arch::parse_vdso(bytes));
    space.set_vdso_build_id(std::string(vdso.build_id.begin(), vdso.build_id.end()));
    // Behind the end stands what this dump needs itself.
    const uint64_t used = arch::used_vdso_bytes(bytes).value_or(image.size());
    if (used < image.size())
      std::fill(image.begin() + static_cast<ptrdiff_t>(used), image.end(), '\0');
    const uint32_t first = options_.vdso_images == nullptr
                               ? options_.id
                               : options_.vdso_images->first_with(image, options_.id);
    if (first != options_.id) {
      space.set_vdso_image_space(first);
    } else {
      space.set_vdso_image(std::move(image));
    }
    return {};
  }

  const TaskHandle& task_;
  const CollectOptions& options_;
  BackingFinder& finder_;
  Refusals& refusals_;
  AddressSpaceState state_;
  std::optional<bool> is_tracked_;  // asked at most once
};

}  // namespace

Result<AddressSpaceState> collect_address_space(const TaskHandle& task,
                                                const CollectOptions& options,
                                                SharedMemoryTable& shared_memory,
                                                MappedFileTable& mapped_files, Refusals& refusals) {
  BackingFinder finder(task, shared_memory, mapped_files, options.ghost_limit_bytes);
  Collector collector(task, options, finder, refusals);
  return TRY_IN(collector.run(), fmt::format("collect the memory of pid {}", task.pid().value));
}

Result<void> write_address_space(const AddressSpaceState& state, MappedFileTable& mapped_files,
                                 image::CheckpointWriter& writer) {
  TRY(mapped_files.fingerprint());
  pb::AddressSpace space = state.space;
  if (state.exe_file_id != 0)
    *space.mutable_exe() = mapped_files.files()[state.exe_file_id - 1].fingerprint();
  TRY(writer.append(image::FileType::kMemory, space));
  for (const pb::Vma& vma : state.vmas) TRY(writer.append(image::FileType::kMemory, vma));
  return {};
}

namespace {

pb::SharedMemory::Kind kind_of(SharedMemoryKind kind) {
  switch (kind) {
    case SharedMemoryKind::kAnonymousShared:
      return pb::SharedMemory::ANONYMOUS_SHARED;
    case SharedMemoryKind::kMemfd:
      return pb::SharedMemory::MEMFD;
    case SharedMemoryKind::kDeletedFile:
      return pb::SharedMemory::DELETED_FILE;
    case SharedMemoryKind::kSysv:
      return pb::SharedMemory::SYSV;
  }
  return pb::SharedMemory::ANONYMOUS_SHARED;
}

}  // namespace

Result<void> write_memory_objects(MappedFileTable& mapped_files,
                                  const SharedMemoryTable& shared_memory,
                                  image::CheckpointWriter& writer) {
  TRY(mapped_files.fingerprint());
  for (const pb::MappedFile& file : mapped_files.files())
    TRY(writer.append(image::FileType::kMemory, file));
  for (const SharedMemoryObject& object : shared_memory.objects()) {
    pb::SharedMemory record;
    record.set_id(object.id);
    record.set_kind(kind_of(object.kind));
    if (object.kind == SharedMemoryKind::kSysv) record.set_sysv_id(static_cast<int>(object.inode));
    record.set_size_bytes(object.size_bytes);
    record.set_name(object.name);
    record.set_seals(object.seals);
    record.set_mode(object.mode);
    record.set_uid(object.uid);
    record.set_gid(object.gid);
    record.set_hugetlb_page_size_bytes(object.hugetlb_page_size_bytes);
    record.set_device(object.device);
    record.set_inode(object.inode);
    TRY(writer.append(image::FileType::kMemory, record));
  }
  return {};
}

}  // namespace cryostat::memory
