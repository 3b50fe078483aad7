#include "engine/restore/restorer_launch.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "blob/blob_image.h"
#include "blob/restorer_blob.h"
#include "engine/base/ids.h"
#include "engine/restore/area.h"

namespace cryostat::restore {
namespace {

// Offsets from the start of the area; each part is page aligned.
struct AreaLayout {
  uint64_t arena = 0;
  uint64_t thread_stacks = 0;
  uint64_t helper_stacks = 0;
  uint64_t parking = 0;
  uint64_t size_bytes = 0;
};

AreaLayout lay_out(uint64_t arena_bytes, uint64_t thread_count, uint64_t parking_bytes) {
  AreaLayout layout;
  layout.arena = page_align_up(restorer_blob::image().bytes.size());
  layout.thread_stacks = layout.arena + page_align_up(arena_bytes);
  layout.helper_stacks = layout.thread_stacks + thread_count * wire::kThreadStackBytes;
  layout.parking = layout.helper_stacks + wire::kMaxHelpers * wire::kHelperStackBytes;
  layout.size_bytes = layout.parking + page_align_up(parking_bytes);
  return layout;
}

// EEXIST when something of this process is there.
Result<void> reserve(uint64_t start, uint64_t size_bytes) {
  void* const at = reinterpret_cast<void*>(start);
  void* const got = mmap(at, size_bytes, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (got == MAP_FAILED) return fail_errno(fmt::format("map the restorer area at {:#x}", start));
  if (got == at) return {};
  // Before 4.17 the flag is unknown and the address only a hint.
  munmap(got, size_bytes);
  return fail(ErrorKind::kMachine, fmt::format("the kernel would not map at {:#x}", start));
}

// Reserves `size_bytes` that touch nothing of the target's and nothing of this process; what the
// process has is only read when it is in the way.
Result<uint64_t> reserve_area(std::vector<AddressRange> taken, uint64_t size_bytes) {
  const uint64_t first = TRY(find_area(taken, size_bytes));
  auto reserved = reserve(first, size_bytes);
  if (reserved.has_value()) return first;
  if (reserved.error().errno_value() != EEXIST) return tl::unexpected(std::move(reserved).error());
  const std::vector<AddressRange> own = TRY(own_ranges());
  taken.insert(taken.end(), own.begin(), own.end());
  const uint64_t start = TRY(find_area(std::move(taken), size_bytes));
  TRY(reserve(start, size_bytes));
  return start;
}

// Makes all of the reserved area but the parking place writable and puts the blob at its start.
Result<void> load_area(uint64_t start, const AreaLayout& layout) {
  void* const at = reinterpret_cast<void*>(start);
  if (mprotect(at, layout.parking, PROT_READ | PROT_WRITE) != 0) {
    return fail_errno("make the restorer area writable");
  }
  const BlobImage& blob = restorer_blob::image();
  std::memcpy(at, blob.bytes.data(), blob.bytes.size());
  if (mprotect(at, blob.text_bytes, PROT_READ | PROT_EXEC) != 0) {
    return fail_errno("make the restorer executable");
  }
  return {};
}

// Adjacent numbers become one range.
std::vector<wire::DescriptorRange> service_ranges(const std::vector<int>& numbers) {
  std::vector<wire::DescriptorRange> ranges;
  for (const int fd : numbers) {
    const auto number = static_cast<uint32_t>(fd);
    if (!ranges.empty() && ranges.back().last + 1 == number) {
      ranges.back().last = number;
    } else {
      ranges.push_back({number, number});
    }
  }
  return ranges;
}

Result<void> add_piece(const VdsoMapping& mapping, uint64_t to, wire::VdsoPlan& plan) {
  if (plan.piece_count == wire::kMaxVdsoPieces)
    return fail(ErrorKind::kMachine, "this kernel's vDSO consists of too many mappings");
  plan.pieces[plan.piece_count++] = {mapping.start, to, mapping.end - mapping.start};
  return {};
}

// A task without a vDSO gets none: ours stays where it is parked, in the area, and goes with it.
Result<void> plan_parked_vdso(const VdsoChoice& choice, wire::VdsoPlan& plan) {
  for (const VdsoMapping& mapping : choice.current) TRY(add_piece(mapping, 0, plan));
  return {};
}

// Once the place is known.
void leave_parked(uint64_t vdso_start, wire::VdsoPlan& plan, LaunchReport& report) {
  uint64_t place = plan.parking;
  for (uint32_t i = 0; i < plan.piece_count; ++i) {
    plan.pieces[i].to = place;
    if (plan.pieces[i].from == vdso_start) report.vdso_start = place;
    place += plan.pieces[i].size_bytes;
  }
}

// Where the working vDSO will be. A re-targeted one stays at a free place of its own.
Result<void> plan_vdso(const VdsoChoice& choice, std::vector<AddressRange> taken, WireArena& arena,
                       wire::VdsoPlan& plan, LaunchReport& report) {
  report.vdso_size_bytes = choice.vdso_size_bytes;
  if (choice.target_vdso == 0) return plan_parked_vdso(choice, plan);
  uint64_t group_to = choice.target_vdso - (choice.vdso_start - choice.group_start);
  if (choice.way == VdsoChoice::Way::kRetarget) {
    group_to = TRY_IN(find_area(std::move(taken), choice.group_end - choice.group_start),
                      "place the vDSO");
    const uint64_t vdso_at = group_to + (choice.vdso_start - choice.group_start);
    const std::vector<unsigned char> image =
        TRY(retarget_image(choice.old_image,
                           {reinterpret_cast<const unsigned char*>(choice.vdso_start),
                            static_cast<size_t>(choice.vdso_size_bytes)},
                           vdso_at));
    plan.image = arena.append(image);
    plan.image_to = choice.target_vdso;
  }
  for (const VdsoMapping& mapping : choice.current)
    TRY(add_piece(mapping, group_to + (mapping.start - choice.group_start), plan));
  report.vdso_start = group_to + (choice.vdso_start - choice.group_start);
  return {};
}

uint64_t parking_bytes(const wire::VdsoPlan& plan) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < plan.piece_count; ++i) sum += plan.pieces[i].size_bytes;
  return sum;
}

}  // namespace

Result<Launch> prepare_launch(const HostedPlan& hosted, ChildContext& context, WireArena& arena,
                              wire::RestorerPlan& plan) {
  if (plan.threads.count == 0) return fail(ErrorKind::kImages, "a task without threads");
  Launch launch;
  LaunchReport& report = launch.report;
  std::vector<AddressRange> taken = hosted.target_ranges;
  for (uint64_t i = 0; i < plan.followers.count; ++i) {
    const wire::AddressRange area = arena.at(plan.followers)[i];
    taken.push_back({area.start, area.end});
  }
  plan.service_fds = arena.append(service_ranges(context.service_fds.numbers()));
  TRY(plan_vdso(hosted.vdso, taken, arena, plan.vdso, report));
  // The image needs its old place and a re-targeted group its new one; the area must leave both
  // free.
  for (uint32_t i = 0; i < plan.vdso.piece_count; ++i) {
    const wire::VdsoPiece& piece = plan.vdso.pieces[i];
    taken.push_back({piece.to, piece.to + piece.size_bytes});
  }
  const AreaLayout layout =
      lay_out(arena.bytes().size(), plan.threads.count, parking_bytes(plan.vdso));
  const uint64_t start = TRY(reserve_area(std::move(taken), layout.size_bytes));

  plan.area_start = start;
  plan.area_end = start + layout.size_bytes;
  plan.helper_stacks = start + layout.helper_stacks;
  plan.vdso.parking = start + layout.parking;
  if (hosted.vdso.target_vdso == 0) leave_parked(hosted.vdso.vdso_start, plan.vdso, report);
  for (uint64_t i = 0; i < plan.threads.count; ++i) {
    arena.at(plan.threads)[i].stack_top =
        start + layout.thread_stacks + (i + 1) * wire::kThreadStackBytes;
  }
  TRY(load_area(start, layout));
  void* const arena_at = reinterpret_cast<void*>(start + layout.arena);
  std::memcpy(arena_at, arena.bytes().data(), arena.bytes().size());
  std::memcpy(arena_at, &plan, sizeof(plan));

  report.area_start = plan.area_start;
  report.area_end = plan.area_end;
  report.plan = start + layout.arena;
  report.threads_offset = plan.threads.offset_bytes;
  report.thread_count = plan.threads.count;
  launch.entry = start + restorer_blob::restorer_entry;
  launch.stack_top = start + layout.thread_stacks + wire::kThreadStackBytes;
  return launch;
}

void enter_blob(const Launch& launch) {
  // A function's entry sees the stack eight bytes off a multiple of 16 (System V ABI).
  asm volatile(
      "movq %0, %%rsp\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "pushq $0\n\t"
      "jmpq *%1\n\t"
      :
      : "a"(launch.stack_top), "c"(launch.entry), "D"(launch.report.plan)
      : "memory");
  __builtin_unreachable();
}

}  // namespace cryostat::restore
