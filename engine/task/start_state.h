// What a task being restored has before its state is put back: inherited from cr-restore.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/error.h"
#include "proto/wire/parasite_state.h"

namespace cryostat::task {

struct StartState {
  wire::ThreadStateReport thread;  // of the calling thread; every new thread inherits it
  std::vector<uint32_t> groups;    // supplementary groups, as many as there are
  uint64_t xcomp_permitted = 0;    // ARCH_GET_XCOMP_PERM
};

// Reads the state of the calling thread.
Result<StartState> read_start_state();

}  // namespace cryostat::task
