#include "engine/task/hosted_state.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "engine/task/limits.h"
#include "engine/task/process_attributes.h"
#include "proto/mm.pb.h"
#include "proto/task.pb.h"

// Where libc keeps the rseq area it registered for each thread (glibc 2.35 and later).
extern "C" {
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));
}

namespace cryostat::task {

namespace {

constexpr uint32_t kRseqSignature = 0x53053053;  // RSEQ_SIG of x86 (sys/rseq.h)
constexpr int kRseqUnregister = 1;               // RSEQ_FLAG_UNREGISTER

// The kernel writes to a registered rseq area whenever the thread is preempted, and the memory it
// lies in is about to be unmapped. The size must be the registered one, which libc does not tell:
// it is at least 32 (linux/rseq.h), and more with newer ones.
Result<void> give_up_rseq() {
  if (&__rseq_offset == nullptr || &__rseq_size == nullptr || __rseq_size == 0) return {};
  char* const thread_pointer = static_cast<char*>(__builtin_thread_pointer());
  for (unsigned size = 32; size <= 256; size += 4)
    if (syscall(SYS_rseq, thread_pointer + __rseq_offset, size, kRseqUnregister, kRseqSignature) ==
        0)
      return {};
  return fail_errno("give up the rseq area of libc");
}

}  // namespace

Result<void> apply_start(const pb::AddressSpace& space) {
  raise_soft_limits();
  // Memory that had no huge pages should not get any while it is filled.
  if (space.thp_disabled() && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
    return fail_errno("disable transparent huge pages");
  return {};
}

Result<void> apply_surroundings(const pb::Task& task, const Surroundings& surroundings) {
  TRY(apply_process_attributes(task));
  if (surroundings.directories) TRY(apply_directories(task));
  if (!surroundings.gives_up_rseq) return {};
  return give_up_rseq();
}

}  // namespace cryostat::task
