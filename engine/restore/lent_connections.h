// UNIX sockets that are connected or wait to be (connect(2)), whose makers are tasks of the tree
// other than the one that opens them: SO_PEERCRED names for ever who called listen(2) and who
// called connect(2), so they do it again, one after the other, and give the sockets away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/service_fds.h"
#include "engine/files/restore.h"
#include "engine/image/checkpoint_images.h"
#include "engine/restore/rendezvous.h"
#include "engine/restore/sharing_role.h"

namespace cryostat::files {
class DescriptionOwners;
}

namespace cryostat::restore {

// One thing that one task does, when all before it are done.
struct ConnectionStep {
  enum class Sort : uint8_t {
    kListenFor,   // a listening socket for connections whose own is gone, or is made later
    kConnect,     // connections through it, both ends
    kCloseAgain,  // it is not needed any more
    kListen,      // a listening socket of the tree
    kWait,        // connections that wait in its backlog
    kListening,   // it gets the backlog it had
  };
  Sort sort;
  size_t task;           // index of who does it
  size_t listener_slot;  // in the numbers
  size_t listener_task;  // who has it
  uint32_t description;  // of the listening socket; kListenFor: of an end of the first connection
  // kConnect: descriptions that stand for a connection each; kWait: places in the backlog.
  std::vector<uint32_t> connections;
};

// A socket that is given to the owner of its description.
struct LentSocket {
  size_t slot;           // in the numbers; of the first end of two
  size_t maker;          // index of the task
  uint32_t to_table;     // of the one that opens it
  uint32_t description;  // stands for the connection, or is the single socket's
  bool both_ends;
};

struct LentConnections {
  std::vector<ConnectionStep> steps;
  std::vector<LentSocket> sockets;
  size_t slots = 0;  // numbers of descriptors; one word for each step follows

  size_t words() const { return slots + steps.size(); }
  bool empty() const { return steps.empty(); }
  // To be called before the tasks exist.
  void prepare(std::span<int> words) const;
};

// Abstract names, which only one socket can have at a time, belong to all connections in turn, then
// to the listening sockets; so these are always made this way.
LentConnections plan_lent_connections(const image::CheckpointImages& images,
                                      const files::DescriptionOwners& owners,
                                      std::span<const SharingRole> roles);

// What the task does of it. `words`: LentConnections::words() of them, in common memory. `room`:
// files::BoundNames::room().
Result<void> make_lent_connections(const image::CheckpointImages& images,
                                   const LentConnections& plan, const SharingRole& role,
                                   const Rendezvous& rendezvous, const std::string& room,
                                   ServiceFds& service_fds, std::span<int> words);

// Takes what the task with this table opens, and, when every task has done so, closes one's own.
Result<void> borrow_connections(const image::CheckpointImages& images, const LentConnections& plan,
                                uint32_t table, ServiceFds& service_fds, std::span<const int> words,
                                files::RestoreInputs& inputs);
void give_up_connections(const LentConnections& plan, size_t task, ServiceFds& service_fds,
                         std::span<const int> words);

}  // namespace cryostat::restore
