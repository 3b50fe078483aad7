// What the engine and the parasite say to each other (docs/parasite-protocol.md).
//
// The parasite area in the target is one shared anonymous mapping (shared, so that the kernel never
// merges it with a mapping of the target): code and constants | data and bss | ParasiteHeader |
// data part | stack. A second such mapping exists while threads report their state: a ThreadSlot
// each.
//
// A call: the engine fills the header, sets rdi to its address, rip to an entry point and rsp to
// the end of the stack, and lets the thread run. When it is done the parasite sets `done` and sends
// itself `stop_signal`, one the target ignores. The tracer sees the signal before it is ignored and
// takes over. With no tracer left the signal is dropped and the parasite returns to `origin` by
// rt_sigreturn(2).
#pragma once

#include <cstddef>
#include <cstdint>

#include "proto/wire/memory_copy.h"
#include "proto/wire/parasite_state.h"
#include "proto/wire/parasite_transfer.h"

namespace cryostat::wire {

inline constexpr uint32_t kParasiteMagic = 0x50535443;
inline constexpr uint32_t kParasiteVersion = 1;

inline constexpr size_t kParasiteStackBytes = 64 * 1024;
inline constexpr size_t kParasiteDataBytes = (kTransferMaxDataBytes + 4095) / 4096 * 4096;
// Room for a signal frame: ucontext, siginfo and the XSAVE area with AMX tiles.
inline constexpr size_t kSignalFrameBytes = 16 * 1024;

enum class ParasiteOp : uint32_t {
  kPing = 1,
  kCollectTask = 2,    // fills the TaskStateReport at `data_offset`      (parasite/task_state.*)
  kWritePages = 3,     // TransferRequest at `data_offset`, reply after it (parasite/transfer.*)
  kOpenChannel = 4,    // a socket pair: numbers in the header
  kReceiveFd = 5,      // takes one descriptor from the channel: number in `result_fd`
  kCloseFd = 6,        // closes `result_fd`
  kCloseAll = 7,       // the channel and everything received
  kCollectThread = 8,  // fills the ThreadStateReport at `data_offset`
  kCopyMemory = 9,     // MemoryCopyRequest at `data_offset`              (parasite/memory_copy.*)
  kFindPolicies = 10,  // PolicyRequest at `data_offset`                  (parasite/memory_policy.*)
};

// Where a thread goes back to: registers as the kernel would set them when it resumed the thread
// now (an interrupted system call starts again or returns EINTR).
struct ThreadOrigin {
  uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  uint64_t rip, rflags, rsp;
  uint16_t cs, ss;
  uint32_t reserved;
  uint64_t signal_mask;  // bit n-1 = signal n
};
static_assert(sizeof(ThreadOrigin) == 20 * 8);

// The XSAVE area of a signal frame, as this processor and kernel lay it out.
struct XsaveLayout {
  uint64_t features;    // XCR0 less what needs a permission (AMX)
  uint32_t size_bytes;  // of the standard format with those
  uint32_t reserved;
};

struct ParasiteHeader {
  uint32_t magic = kParasiteMagic;
  uint32_t version = kParasiteVersion;
  // Set at injection.
  uint64_t area_start = 0;
  uint64_t area_end = 0;
  // Code outside of the area that makes a system call and returns to `origin` (return_stub.h);
  // 0: there is none, the self-cure has to leave a part of the area behind.
  uint64_t return_stub = 0;
  // Threads that report their state at this moment, in their slots: the area can't be unmapped.
  uint32_t threads_inside = 0;
  uint32_t reserved = 0;
  int32_t stop_signal = 0;
  uint32_t frame_ready = 0;  // set by the parasite: `frame` holds the extended state
  XsaveLayout xsave{};
  ThreadOrigin origin{};
  // Of one call.
  ParasiteOp op = ParasiteOp::kPing;
  uint32_t done = 0;  // set by the parasite, last
  uint64_t data_offset = 0;
  int32_t error = 0;  // 0 or -errno
  int32_t result_fd = -1;
  // The channel, -1 while closed; ours first.
  int32_t channel[2] = {-1, -1};
  // Descriptors received and not closed yet; -1: free.
  int32_t received[4] = {-1, -1, -1, -1};
  uint64_t data_address = 0;  // of the data part
  alignas(64) unsigned char frame[kSignalFrameBytes];
};
static_assert(offsetof(ParasiteHeader, frame) % 64 == 0);
static_assert(sizeof(ParasiteHeader) % 64 == 0);

// One thread that reports its state, page aligned. The stack grows down from the end of `stack`, so
// that the part in use shares one page with the rest.
struct ThreadSlot {
  // Untouched (and so without memory behind it) unless the engine dies.
  alignas(64) unsigned char frame[kSignalFrameBytes];
  unsigned char stack[8192 - sizeof(ThreadStateReport) - 256];
  ThreadOrigin origin{};
  XsaveLayout xsave{};
  int32_t stop_signal = 0;
  uint32_t done = 0;  // set by the parasite, last
  alignas(16) unsigned char reserved[64];
  ThreadStateReport report;
};
static_assert(sizeof(ThreadSlot) == kSignalFrameBytes + 8192);
static_assert(offsetof(ThreadSlot, origin) % 8 == 0);

}  // namespace cryostat::wire
