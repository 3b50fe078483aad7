#include "restorer/vdso.h"

#include <linux/mman.h>
#include <sys/syscall.h>

#include "engine/kernel/raw_syscall.h"

namespace cryostat::restorer {
namespace {

// mman.h of the C library is not for freestanding code; the values are the kernel's.
constexpr uint64_t kProtRead = 1, kProtWrite = 2, kProtExec = 4;
constexpr uint64_t kMapPrivate = 2, kMapFixedNoReplace = 0x100000, kMapAnonymous = 0x20;

int move(wire::RestorerPlan& plan, uint64_t from, uint64_t to, uint64_t size_bytes) {
  if (from == to) return 0;
  const long result =
      raw_syscall(SYS_mremap, from, size_bytes, size_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  if (!is_syscall_error(result)) return 0;
  plan.detail = from;
  return static_cast<int>(result);
}

int map_image(wire::RestorerPlan& plan) {
  const wire::VdsoPlan& vdso = plan.vdso;
  plan.detail = vdso.image_to;
  const uint64_t size_bytes = (vdso.image.count + 4095) & ~uint64_t{4095};
  const long at =
      raw_syscall(SYS_mmap, vdso.image_to, size_bytes, kProtRead | kProtWrite,
                  kMapPrivate | kMapFixedNoReplace | kMapAnonymous, static_cast<uint64_t>(-1), 0);
  if (is_syscall_error(at)) return static_cast<int>(at);
  __builtin_memcpy(reinterpret_cast<void*>(at), vdso.image.in(&plan), vdso.image.count);
  return static_cast<int>(
      raw_syscall(SYS_mprotect, vdso.image_to, size_bytes, kProtRead | kProtExec));
}

}  // namespace

int park_vdso(wire::RestorerPlan& plan) {
  uint64_t place = plan.vdso.parking;
  for (uint32_t i = 0; i < plan.vdso.piece_count; ++i) {
    const wire::VdsoPiece& piece = plan.vdso.pieces[i];
    if (const int error = move(plan, piece.from, place, piece.size_bytes)) return error;
    place += piece.size_bytes;
  }
  return 0;
}

int place_vdso(wire::RestorerPlan& plan) {
  uint64_t place = plan.vdso.parking;
  for (uint32_t i = 0; i < plan.vdso.piece_count; ++i) {
    const wire::VdsoPiece& piece = plan.vdso.pieces[i];
    if (const int error = move(plan, place, piece.to, piece.size_bytes)) return error;
    place += piece.size_bytes;
  }
  return plan.vdso.image.count == 0 ? 0 : map_image(plan);
}

}  // namespace cryostat::restorer
