#include "engine/ptrace/rseq_section.h"

#include <cstddef>

#include "engine/kernel/process_memory.h"

namespace cryostat::ptrace {

namespace {
// struct rseq and struct rseq_cs of linux/rseq.h, as far as needed.
constexpr uint64_t kCriticalSectionOffset = 8;
struct CriticalSection {
  uint32_t version;
  uint32_t flags;
  uint64_t start;
  uint64_t post_commit_offset;
  uint64_t abort;
};
static_assert(sizeof(CriticalSection) == 32);
}  // namespace

uint64_t rseq_resume_address(HostPid pid, const RseqConfiguration& rseq, uint64_t instruction) {
  if (rseq.address == 0) return instruction;
  const auto pointer =
      kernel::read_object<uint64_t>(pid, RemoteAddr(rseq.address + kCriticalSectionOffset));
  if (!pointer || *pointer == 0) return instruction;
  const auto section = kernel::read_object<CriticalSection>(pid, RemoteAddr(*pointer));
  if (!section) return instruction;
  const bool inside = instruction - section->start < section->post_commit_offset;
  return inside ? section->abort : instruction;
}

}  // namespace cryostat::ptrace
