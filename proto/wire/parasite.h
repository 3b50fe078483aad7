// What the engine and the parasite say to each other.
//
// The parasite area in the target is one private mapping: blob | ParasiteArea header and data | stack.
// A command is a fixed-size message on a SOCK_SEQPACKET socket (descriptors travel with SCM_RIGHTS);
// its bulk input and output lie in the data part of the area, which the engine reads and writes
// with process_vm_readv/writev. When the socket reaches its end the parasite cures itself: it
// returns to the saved registers through rt_sigreturn.
#pragma once

#include <cstdint>

#include "proto/wire/parasite_state.h"
#include "proto/wire/parasite_transfer.h"

namespace cryostat::wire {

inline constexpr uint32_t kParasiteMagic = 0x50535443;
inline constexpr uint32_t kParasiteVersion = 1;

enum class ParasiteOp : uint32_t {
  kPing = 1,
  kCollectTask = 2,   // fills TaskStateReport at `data_offset`        (parasite/task_state.*)
  kWritePages = 3,    // TransferRequest at `data_offset` in, reply after it (parasite/transfer.*)
};

struct ParasiteRequest {
  uint32_t magic = kParasiteMagic;
  ParasiteOp op = ParasiteOp::kPing;
  uint64_t data_offset = 0;   // of the operation's struct, from the start of the area's data part
};

struct ParasiteReply {
  uint32_t magic = kParasiteMagic;
  int32_t error = 0;          // 0 or -errno
  uint64_t detail = 0;
};

}  // namespace cryostat::wire
