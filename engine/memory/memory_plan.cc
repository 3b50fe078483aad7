#include "engine/memory/memory_plan.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mman.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <vector>

#include "engine/base/ids.h"
#include "engine/image/format.h"
#include "engine/image/memory_policy.h"
#include "engine/image/mm_image.h"
#include "engine/image/pagemap_image.h"
#include "engine/kernel/constants.h"
#include "engine/memory/fill_plan.h"
#include "engine/memory/page_run_sets.h"
#include "engine/memory/staged_memory.h"

namespace cryostat::memory {

namespace {

constexpr uint64_t kTaskSize = (uint64_t{1} << 47) - kPageSize;
// Below this much data a second reader costs more than it brings.
constexpr uint64_t kBytesPerReader = 32 << 20;

bool is_kernel_mapping(const pb::Vma& vma) {
  return vma.backing() == pb::Vma::VDSO || vma.backing() == pb::Vma::VVAR ||
         vma.backing() == pb::Vma::VSYSCALL;
}

uint32_t map_flags(const pb::Vma& vma) {
  uint32_t flags = vma.shared() ? MAP_SHARED : MAP_PRIVATE;
  if (vma.backing() == pb::Vma::ANONYMOUS) {
    if (vma.droppable()) flags = kernel::kMapDroppable;
    flags |= MAP_ANONYMOUS;
    if (vma.grows_down()) flags |= MAP_GROWSDOWN;
    if (const uint64_t size = vma.hugetlb_page_size_bytes(); size != 0)
      flags |= MAP_HUGETLB | static_cast<uint32_t>(std::countr_zero(size)) << MAP_HUGE_SHIFT;
  }
  if (vma.no_reserve() && !vma.droppable()) flags |= MAP_NORESERVE;
  return flags;
}

uint32_t advice(const pb::Vma& vma) {
  uint32_t bits = 0;
  const auto add = [&bits](bool wanted, wire::VmaAdvice bit) {
    bits |= wanted ? uint32_t{bit} : 0;
  };
  add(vma.huge_page(), wire::kAdviceHugePage);
  add(vma.no_huge_page(), wire::kAdviceNoHugePage);
  add(vma.dont_fork(), wire::kAdviceDontFork);
  add(vma.dont_dump() && !vma.droppable(), wire::kAdviceDontDump);
  add(vma.wipe_on_fork() && !vma.droppable(), wire::kAdviceWipeOnFork);
  add(vma.mergeable(), wire::kAdviceMergeable);
  add(vma.sequential_read(), wire::kAdviceSequential);
  add(vma.random_read(), wire::kAdviceRandom);
  add(vma.locked_on_fault(), wire::kAdviceLockOnFault);
  add(vma.locked() && !vma.locked_on_fault(), wire::kAdviceLock);
  add(vma.sealed(), wire::kAdviceSeal);
  return bits;
}

Result<int> backing_fd(const MemoryPlanInput& input, const pb::Vma& vma) {
  switch (vma.backing()) {
    case pb::Vma::ANONYMOUS:
      return -1;
    case pb::Vma::FILE:
      if (const auto file = input.files.by_id.find(vma.file_id()); file != input.files.by_id.end())
        return file->second;
      return fail(ErrorKind::kImages, fmt::format("mapped file {} is not open", vma.file_id()));
    case pb::Vma::SHARED_MEMORY:
      return vma.shared() && vma.file_writable()
                 ? input.shared_memory.read_write(vma.shared_memory_id())
                 : input.shared_memory.read_only(vma.shared_memory_id());
    default:
      return fail(ErrorKind::kImages, fmt::format("VMA {:x} has unknown backing {}", vma.start(),
                                                  static_cast<int>(vma.backing())));
  }
}

// Whether pages are written into each VMA; runs that lie elsewhere are an error of the images. A
// run may go on from one VMA into the next.
Result<std::vector<bool>> find_filled(const std::vector<pb::Vma>& vmas,
                                      const std::vector<image::PageRun>& runs) {
  std::vector<bool> filled(vmas.size(), false);
  size_t i = 0;
  for (const image::PageRun& run : runs) {
    const uint64_t end = run.address + run.page_count * kPageSize;
    for (uint64_t at = run.address; at < end; at = vmas[i].end()) {
      while (i < vmas.size() && vmas[i].end() <= at) ++i;
      if (i == vmas.size() || at < vmas[i].start() || vmas[i].shared() ||
          is_kernel_mapping(vmas[i]))
        return fail(ErrorKind::kImages, fmt::format("pages at {:x} are in no private VMA", at));
      filled[i] = true;
    }
  }
  return filled;
}

// A System V segment is attached, not mapped.
void plan_attachment(const pb::Vma& vma, const pb::SharedMemory& segment,
                     wire::PlannedVma& planned) {
  planned.attached = 1;
  planned.fd = segment.sysv_id();
  planned.map_flags = vma.file_writable() ? 0 : SHM_RDONLY;
  planned.map_protection = PROT_READ | (vma.file_writable() ? PROT_WRITE : 0);
}

Result<wire::PlannedVma> plan_vma(const MemoryPlanInput& input, const pb::Vma& vma, bool filled,
                                  WireArena& arena) {
  wire::PlannedVma planned;
  planned.start = vma.start();
  planned.end = vma.end();
  planned.file_offset_bytes = vma.file_offset_bytes();
  planned.fd = TRY(backing_fd(input, vma));
  planned.map_flags = map_flags(vma);
  planned.protection = vma.protection();
  planned.map_protection = vma.protection();
  const pb::SharedMemory* const object = input.mm.shared_memory(vma.shared_memory_id());
  if (object != nullptr && object->kind() == pb::SharedMemory::SYSV)
    plan_attachment(vma, *object, planned);
  // An area that was once writable is accounted (overcommit) and stays so: map it writable first.
  if (!vma.shared() && (filled || vma.account()))
    planned.map_protection = (vma.protection() & ~uint32_t{PROT_EXEC}) | PROT_READ | PROT_WRITE;
  planned.advice = advice(vma);
  planned.protection_key = vma.protection_key();
  if (!vma.name().empty()) planned.name = arena.append_string(vma.name());
  return planned;
}

wire::PlannedLayout plan_layout(const pb::MmLayout& layout) {
  wire::PlannedLayout plan;
  plan.start_code = layout.start_code();
  plan.end_code = layout.end_code();
  plan.start_data = layout.start_data();
  plan.end_data = layout.end_data();
  plan.start_brk = layout.start_brk();
  plan.brk = std::max(layout.brk(), layout.start_brk());
  plan.start_stack = layout.start_stack();
  plan.arg_start = layout.arg_start();
  plan.arg_end = layout.arg_end();
  plan.env_start = layout.env_start();
  plan.env_end = layout.env_end();
  // PR_SET_MM_MAP takes no address below mmap_min_addr. A program without a data segment has 0
  // there.
  if (plan.start_data == 0) plan.start_data = plan.end_data = plan.end_code;
  return plan;
}

std::vector<wire::AddressRange> plan_guards(const std::vector<pb::Vma>& vmas) {
  std::vector<wire::AddressRange> guards;
  for (const pb::Vma& vma : vmas)
    for (int i = 0; i + 1 < vma.guard_pages_size(); i += 2)
      guards.push_back({vma.guard_pages(i), vma.guard_pages(i + 1)});
  return guards;
}

std::vector<wire::PlannedPolicy> plan_policies(const std::vector<pb::Vma>& vmas) {
  std::vector<wire::PlannedPolicy> policies;
  for (const pb::Vma& vma : vmas)
    if (vma.memory_policy().mode() != 0 && !is_kernel_mapping(vma))
      policies.push_back({vma.start(), vma.end(), image::plan_policy(vma.memory_policy())});
  return policies;
}

// What is to be done to memory that the process has inherited.
struct Inherited {
  std::vector<RemoteRange> kept;          // VMAs that are there
  PageRuns missing;                       // pages that are not, or of another task
  std::vector<wire::AddressRange> drops;  // pages that only others have
};

Inherited find_inherited(const MemoryPlanInput& input, const PageRuns& runs,
                         const std::vector<bool>& filled) {
  Inherited inherited;
  if (input.staged == nullptr) return {{}, runs, {}};
  const std::vector<pb::Vma>& vmas = input.space.vmas;
  for (size_t i = 0; i < vmas.size(); ++i)
    if (!is_kernel_mapping(vmas[i]) && input.staged->holds(vmas[i], filled[i]))
      inherited.kept.push_back({vmas[i].start(), vmas[i].end()});
  const PageRuns there = pages_at(input.staged->present(input.staging_node), inherited.kept);
  inherited.missing = without_same(runs, there);
  for (const RemoteRange& range : addresses_of(pages_not_at(there, addresses_of(runs))))
    inherited.drops.push_back({range.start, range.end});
  return inherited;
}

Result<UniqueFd> open_mapped(const pb::FileFingerprint& file, bool writable) {
  UniqueFd fd(open(file.path().c_str(),
                   (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) {
    const int error = errno;
    return Failure(Error::from_errno(error, fmt::format("open mapped file {}", file.path()))
                       .as(error == ENOENT ? ErrorKind::kMachine : ErrorKind::kFailed));
  }
  return fd;
}

}  // namespace

Result<MappedFileFds> open_mapped_files(const image::MmImage& mm,
                                        const image::AddressSpaceImage& space,
                                        ServiceFds& service_fds) {
  MappedFileFds fds;
  for (const pb::Vma& vma : space.vmas) {
    if (vma.backing() != pb::Vma::FILE || fds.by_id.contains(vma.file_id())) continue;
    const pb::MappedFile& file = mm.file(vma.file_id());
    fds.by_id[file.id()] =
        TRY(service_fds.adopt(TRY(open_mapped(file.fingerprint(), file.writable()))));
  }
  if (!space.space.exe().path().empty())
    fds.exe = TRY(service_fds.adopt(TRY(open_mapped(space.space.exe(), false))));
  return fds;
}

Result<void> fill_memory_plan(const MemoryPlanInput& input, WireArena& arena,
                              wire::MemoryPlan& plan) {
  const std::vector<pb::Vma>& vmas = input.space.vmas;
  const pb::AddressSpace& space = input.space.space;
  const auto& runs = input.pagemap.runs(pb::PageRuns::ADDRESS_SPACE, space.id());
  const std::vector<bool> filled = TRY(find_filled(vmas, runs));
  const Inherited inherited = find_inherited(input, runs, filled);
  auto kept = inherited.kept.begin();
  std::vector<wire::PlannedVma> planned;
  planned.reserve(vmas.size());
  for (size_t i = 0; i < vmas.size(); ++i) {
    if (is_kernel_mapping(vmas[i])) continue;
    planned.push_back(TRY(plan_vma(input, vmas[i], filled[i], arena)));
    if (kept == inherited.kept.end() || kept->start != vmas[i].start()) continue;
    planned.back().inherited = 1;
    ++kept;
  }
  plan.vmas = arena.append(planned);
  plan.drops = arena.append(inherited.drops);

  const FillPlan fill = plan_fill(inherited.missing);
  plan.fill_batches = arena.append(fill.batches);
  plan.fill_targets = arena.append(fill.targets);
  plan.zero_fill = arena.append(fill.zeroes);
  plan.guards = arena.append(plan_guards(vmas));
  plan.policies = arena.append(plan_policies(vmas));
  const std::string& auxv = space.layout().auxv();
  plan.auxv = arena.append(std::span(reinterpret_cast<const uint8_t*>(auxv.data()), auxv.size()));
  plan.layout = plan_layout(space.layout());
  std::vector<wire::PageStoreFds> stores;
  for (const StoreFiles& source : input.stores)
    stores.push_back({source.pages_fd, source.sums_fd, sizeof(image::FileHeader)});
  plan.stores = arena.append(stores);
  plan.exe_fd = space.exe_shared_memory_id() != 0
                    ? TRY(input.shared_memory.read_only(space.exe_shared_memory_id()))
                    : input.files.exe;
  uint64_t bytes = 0;
  for (const wire::FillBatch& batch : fill.batches) bytes += batch.size_bytes;
  plan.reader_threads = choose_readers(input.reader_threads, bytes);
  if (space.lock_future()) plan.lock_future |= MCL_FUTURE;
  if (space.lock_future_on_fault()) plan.lock_future |= MCL_FUTURE | MCL_ONFAULT;
  plan.task_size = kTaskSize;
  return {};
}

uint32_t choose_readers(uint32_t wanted, uint64_t bytes) {
  if (wanted != 0) return wanted;
  cpu_set_t cpus;
  const int available = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  const uint64_t useful = std::min<uint64_t>(bytes / kBytesPerReader, 8);
  return static_cast<uint32_t>(
      std::max<uint64_t>(1, std::min<uint64_t>(useful, static_cast<uint64_t>(available))));
}

uint64_t planned_bytes(const image::PagemapImage& pagemap) {
  uint64_t bytes = 0;
  for (const auto& [owner, runs] : pagemap.owners)
    for (const image::PageRun& run : runs)
      if (run.page_index != image::kZeroPage) bytes += run.page_count * kPageSize;
  return bytes;
}

}  // namespace cryostat::memory
