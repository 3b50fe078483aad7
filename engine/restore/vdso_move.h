// Getting the vDSO back to its old address: moved when the images' vDSO is this kernel's own,
// re-targeted (old code, entries jumping into this kernel's) when it is another.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/wire_arena.h"
#include "engine/restore/options.h"
#include "proto/wire/restorer.h"

namespace cryostat::pb {
class AddressSpace;
class Thread;
}  // namespace cryostat::pb

namespace cryostat::restore {

// One mapping of this process's vvar/vDSO group.
struct VdsoMapping {
  std::string name;  // "[vvar]", "[vvar_vclock]", "[vdso]"
  uint64_t start = 0;
  uint64_t end = 0;
};

// What to do, decided in the parent before anything is created.
struct VdsoChoice {
  enum class Way : uint8_t { kNone, kMove, kRetarget };
  Way way = Way::kNone;
  std::vector<VdsoMapping> current;  // this process's, in address order (the fork has the same)
  uint64_t group_start = 0;          // of `current`
  uint64_t group_end = 0;
  uint64_t vdso_start = 0;  // [vdso] in `current`
  uint64_t vdso_size_bytes = 0;
  uint64_t target_vdso = 0;  // where the old one was
  uint64_t target_vdso_size_bytes = 0;
  std::vector<unsigned char> old_image;  // kRetarget: the old vDSO as it was; patched at launch
  std::string why;                       // one line for the log
};

// A choice that says only what this process has, read from its maps.
Result<VdsoChoice> find_own_vdso();

// Decides from the images (`image`: the bytes of the space's vDSO), what find_own_vdso() has found
// and the mode asked for. kMachine when the
// vDSO differs and a thread was frozen inside it, or when kMove was asked for and is not possible.
Result<VdsoChoice> choose_vdso(VdsoChoice own, const pb::AddressSpace& space,
                               const std::string& image, const std::vector<pb::Thread>& threads,
                               VdsoMode mode);

// `image` (an old vDSO, mapped at any address) with each exported function's entry made a jump to
// the function of the same name in `current` mapped at `current_at`; a function the current one
// lacks returns -ENOSYS, on which C libraries make the system call. Pure. kMachine when either
// is not a vDSO this understands.
Result<std::vector<unsigned char>> retarget_image(std::span<const unsigned char> image,
                                                  std::span<const unsigned char> current,
                                                  uint64_t current_at);

}  // namespace cryostat::restore
