// The mappings of a task with the flag word that the kernel itself keeps for each, by a BPF
// iterator (Documentation/bpf/bpf_iterators.rst; over the mappings of one task: 6.1). Unlike
// /proc/<pid>/smaps it counts no pages: some tens of microseconds, however large the task is.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"

namespace cryostat::kernel {

// [start, end) and vm_area_struct.vm_flags, whose bits differ from kernel to kernel.
struct KernelVma {
  uint64_t start;
  uint64_t end;
  uint64_t flags;
  bool operator==(const KernelVma&) const = default;
};

class VmaIterator {
 public:
  // Takes some 50 ms: the kernel's type information is looked through for where the fields are.
  // Errors: CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) are missing; the kernel has no BTF
  // (CONFIG_DEBUG_INFO_BTF) or not this iterator.
  static Result<VmaIterator> load();
  // In address order. All of one instant only when the task is stopped. Errors: the task is gone.
  Result<std::vector<KernelVma>> read(HostPid task) const;

 private:
  explicit VmaIterator(UniqueFd program) : program_(std::move(program)) {}
  UniqueFd program_;
};

}  // namespace cryostat::kernel
