#include "engine/files/datagram_account.h"

#include <sys/socket.h>

#include <map>
#include <vector>

#include "engine/files/collect_context.h"
#include "engine/net/unix_queue.h"

namespace cryostat::files {

namespace {

bool is_connected_outside(const CollectContext& context, const OpenDescription& description) {
  const auto* socket = context.unix_sockets.find(description.st.st_ino);
  return socket != nullptr && context.unix_sockets.find(socket->peer_inode) != nullptr &&
         context.with_inode(description.st.st_dev, socket->peer_inode) == nullptr;
}

}  // namespace

Result<std::set<std::string>> senders_of_unseen(const CollectContext& context) {
  std::map<std::string, size_t> in_flight;
  std::map<std::string, std::vector<const net::QueuedMessage*>> seen;
  for (const auto& [id, socket] : context.in_flight().datagram_sockets()) {
    if (socket.bytes_in_flight > 0 && !is_connected_outside(context, context.description(id)))
      in_flight[socket.name] += socket.bytes_in_flight;
    if (const auto* queue = context.in_flight().queue(id))
      for (const auto& message : queue->messages) seen[message.sender].push_back(&message);
  }
  std::set<std::string> unseen;
  for (const auto& [name, bytes] : in_flight)
    if (bytes > TRY(net::memory_of_copy(SOCK_DGRAM, seen[name]))) unseen.insert(name);
  return unseen;
}

}  // namespace cryostat::files
