#include "engine/ptrace/restartable_sequence.h"

#include <fmt/format.h>

#include <cstddef>
#include <vector>

#include "engine/base/log.h"
#include "engine/kernel/process_memory.h"
#include "engine/ptrace/seized_task.h"

namespace cryostat {
namespace {

constexpr uint64_t kCriticalSectionOffset = 8;  // of rseq_cs in struct rseq

// struct rseq_cs
struct CriticalSection {
  uint32_t version;
  uint32_t flags;
  uint64_t start_ip;
  uint64_t post_commit_offset;
  uint64_t abort_ip;
};
static_assert(sizeof(CriticalSection) == 32);

// A section the kernel would reject is left to it.
Result<void> abort_sequence(HostPid pid, uint64_t section_address, SavedThread& thread) {
  const auto section = TRY(kernel::read_object<CriticalSection>(pid, RemoteAddr(section_address)));
  if (section.version != 0) return {};
  if (thread.registers.rip - section.start_ip >= section.post_commit_offset) return {};
  const auto signature =
      TRY(kernel::read_object<uint32_t>(pid, RemoteAddr(section.abort_ip - sizeof(uint32_t))));
  if (signature == thread.rseq.signature) thread.registers.rip = section.abort_ip;
  return {};
}

}  // namespace

Result<void> abort_restartable_sequences(HostPid pid, std::span<SavedThread> threads) {
  std::vector<uint64_t> sections(threads.size());
  std::vector<kernel::ReadPart> parts;
  for (size_t i = 0; i < threads.size(); ++i) {
    if (threads[i].rseq.address == 0) continue;
    parts.push_back({RemoteAddr(threads[i].rseq.address + kCriticalSectionOffset),
                     std::as_writable_bytes(std::span(&sections[i], 1))});
  }
  if (parts.empty()) return {};
  TRY_IN(kernel::read_memory(pid, parts), "read the restartable sequences of the threads");
  for (size_t i = 0; i < threads.size(); ++i) {
    if (sections[i] == 0) continue;
    // A pointer that leads nowhere makes the kernel kill the thread, not us.
    const auto aborted = abort_sequence(pid, sections[i], threads[i]);
    if (!aborted.has_value())
      log::debug("thread {}: {}", threads[i].tid.value, aborted.error().message());
  }
  return {};
}

}  // namespace cryostat
