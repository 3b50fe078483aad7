#include "engine/memory/unnamed_flags.h"

#include <sys/mman.h>

#include <algorithm>

#include "engine/kernel/constants.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

using procfs::SmapsEntry;
using procfs::VmFlags;

constexpr std::string_view kUnnamed = "??";

// How the area at `address` of this process is printed; empty when it can't be found.
std::string unknown_flags_of(const void* address) {
  const auto dir = ProcDir::open("/proc/self");
  if (!dir.has_value()) return {};
  const auto text = dir->read("smaps");
  if (!text.has_value()) return {};
  const auto entries = procfs::parse_smaps(*text);
  if (!entries.has_value()) return {};
  const auto at = reinterpret_cast<uint64_t>(address);
  const auto entry = std::find_if(entries->begin(), entries->end(), [at](const SmapsEntry& one) {
    return one.start <= at && at < one.end;
  });
  return entry == entries->end() ? std::string() : entry->unknown_flags;
}

// True when this kernel prints `??` for an area that is locked on fault, and nothing for the same
// area before it was.
bool probe_locked_on_fault_unnamed() {
  void* const page =
      mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  const bool plain = unknown_flags_of(page).empty();
  const bool unnamed =
      plain && mlock2(page, kPageSize, MLOCK_ONFAULT) == 0 && unknown_flags_of(page) == kUnnamed;
  munmap(page, kPageSize);
  return unnamed;
}

}  // namespace

void name_unnamed_flags(std::vector<SmapsEntry>& entries) {
  const auto may_be = [](const SmapsEntry& entry) {
    return entry.unknown_flags == kUnnamed && entry.flags.has(VmFlags::kLocked);
  };
  if (std::none_of(entries.begin(), entries.end(), may_be)) return;
  static const bool unnamed = probe_locked_on_fault_unnamed();
  if (!unnamed) return;
  for (SmapsEntry& entry : entries) {
    if (!may_be(entry)) continue;
    entry.flags.clear(VmFlags::kUnknown);
    entry.flags.set(VmFlags::kLockedOnFault);
    entry.unknown_flags.clear();
  }
}

}  // namespace cryostat::memory
