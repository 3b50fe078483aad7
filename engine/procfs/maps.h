// /proc/<pid>/maps and /proc/<pid>/smaps (proc_pid_maps(5), proc_pid_smaps(5)).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::procfs {

// The two-letter flags of "VmFlags:" as bits. A flag this build does not know sets kUnknown.
class VmFlags {
 public:
  enum Flag : uint8_t {
    kReadable,          // rd
    kWritable,          // wr
    kExecutable,        // ex
    kShared,            // sh
    kMayRead,           // mr
    kMayWrite,          // mw
    kMayExec,           // me
    kMayShare,          // ms
    kGrowsDown,         // gd
    kPureFrames,        // pf: VM_PFNMAP
    kDisabledWrite,     // dw
    kLocked,            // lo
    kLockedOnFault,     // lf
    kIo,                // io
    kSequentialRead,    // sr
    kRandomRead,        // rr
    kDontCopy,          // dc: MADV_DONTFORK
    kDontExpand,        // de
    kAccountable,       // ac
    kNoReserve,         // nr
    kHugeTlb,           // ht
    kSyncFault,         // sf: MAP_SYNC
    kArchSpecific,      // ar
    kWipeOnFork,        // wf
    kDontDump,          // dd
    kSoftDirty,         // sd
    kMixedMap,          // mm
    kHugePage,          // hg
    kNoHugePage,        // nh
    kMergeable,         // mg
    kUffdMissing,       // um
    kUffdWriteProtect,  // uw
    kUffdMinor,         // ui
    kShadowStack,       // ss
    kSealed,            // sl
    kDroppable,         // dp
    kUserMapLocked,     // bt: arm64 BTI, mt: MTE (never on x86)
    kGuard,             // gu: holds (or held) MADV_GUARD_INSTALL ranges, 6.18
    kUnknown,           // a flag not listed here
  };
  bool has(Flag flag) const { return (bits_ >> flag & 1) != 0; }
  void set(Flag flag) { bits_ |= uint64_t{1} << flag; }
  void clear(Flag flag) { bits_ &= ~(uint64_t{1} << flag); }
  uint64_t bits() const { return bits_; }
  bool operator==(const VmFlags&) const = default;

 private:
  uint64_t bits_ = 0;
};

// One area [start, end).
struct MapsEntry {
  uint64_t start = 0;
  uint64_t end = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;  // MAP_SHARED
  uint64_t offset_bytes = 0;
  uint32_t dev_major = 0;
  uint32_t dev_minor = 0;
  uint64_t inode = 0;  // 0: no file
  // Path, "[heap]", "[anon:name]", …; \012 undone; " (deleted)" removed when it was the end of a
  // path (inode not 0) and `deleted` set instead. A file really named "x (deleted)" looks the same.
  std::string name;
  bool deleted = false;
  uint64_t size_bytes() const { return end - start; }
  int protection() const;  // PROT_*
};

// An area with what smaps adds.
struct SmapsEntry : MapsEntry {
  bool counted = true;  // false: not from smaps, nothing is known of the pages in memory
  uint64_t kernel_page_size_bytes = 4096;
  uint64_t rss_bytes = 0;
  uint64_t anonymous_bytes = 0;
  uint64_t swap_bytes = 0;
  uint64_t locked_bytes = 0;
  uint64_t shared_hugetlb_bytes = 0;
  uint64_t private_hugetlb_bytes = 0;
  uint32_t protection_key = 0;
  VmFlags flags;
  std::string unknown_flags;  // the unknown ones as printed, blank separated
};

// Entries come in address order, without overlaps; anything else is kFailed. At most
// kMaxAreas areas are taken (the kernel's default limit is 65530; higher sysctl values exist).
inline constexpr size_t kMaxAreas = size_t{1} << 22;
Result<std::vector<MapsEntry>> parse_maps(std::string_view text);
Result<std::vector<SmapsEntry>> parse_smaps(std::string_view text);

}  // namespace cryostat::procfs
