// What pipes and FIFOs have in common: their ends, their capacity and what is in them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::pb {
class Pipe;
}

namespace cryostat::files {

class CollectContext;
struct OpenDescription;

// Fills pipe_id, capacity, packet mode and (in the first description of the pipe) the content.
// kRefused when an end is held by somebody outside the task: an end that the task does not have
// must be closed everywhere, which poll(2) tells. `what` is "pipe" or "FIFO /run/x".
Result<void> collect_pipe(CollectContext& context, const OpenDescription& description,
                          const std::string& what, pb::Pipe& pipe);

// What is in the pipe behind `read_end` without taking it out (tee(2)): the data, in packet mode
// one entry for each packet.
Result<std::vector<std::string>> peek_pipe(int read_end);

// Sets the capacity and writes the content. `write_end` must be new: its status flags are changed.
Result<void> fill_pipe(int write_end, const pb::Pipe& pipe);

// Flags to open an end with: O_DIRECT (packet mode) is set later with F_SETFL, open(2) refuses it.
uint32_t pipe_open_flags(uint32_t status);

}  // namespace cryostat::files
