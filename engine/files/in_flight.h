// Open descriptions that no task has a number of: they are in messages that wait in UNIX sockets
// (SCM_RIGHTS, unix(7)).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/files/open_description.h"
#include "engine/net/unix_queue.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::files {

// What waits in one socket; `files[i]` are the ids of the descriptions in messages[i].
struct SocketQueue {
  std::vector<net::QueuedMessage> messages;  // their files are moved away
  std::vector<std::vector<uint32_t>> files;
};

class FilesInFlight {
 public:
  // Peeks into every UNIX socket of `descriptions`, and into those found there. New
  // descriptions are added at the end: with ids, the engine as their task, and kNoTable as their
  // only table. Precondition: the target is frozen.
  static Result<FilesInFlight> find(std::vector<OpenDescription>& descriptions);

  // nullptr for a socket without one, or whose queue could not be looked at; then `refusal` says
  // why, if there is a reason.
  const SocketQueue* queue(uint32_t description_id) const;
  const Error* refusal(uint32_t description_id) const;

  // A datagram socket with a name, or connected to one with a name.
  struct Datagrams {
    std::string name;
    size_t bytes_in_flight = 0;  // net::memory_in_flight
  };
  const std::map<uint32_t, Datagrams>& datagram_sockets() const { return datagram_sockets_; }

 private:
  Result<void> look_into(std::vector<OpenDescription>& descriptions, size_t socket);
  Result<uint32_t> identify(std::vector<OpenDescription>& descriptions, size_t socket,
                            UniqueFd file);

  std::unique_ptr<TaskHandle> engine_;  // opened when it is needed
  std::map<uint32_t, SocketQueue> queues_;
  std::map<uint32_t, Error> refusals_;
  std::map<uint32_t, Datagrams> datagram_sockets_;  // by description
};

}  // namespace cryostat::files
