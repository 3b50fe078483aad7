// Messages that wait in UNIX sockets (unix(7)): read without taking them, and sent again.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>
#include <sys/socket.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/net/unix_address.h"

namespace cryostat::pb {
class UnixMessage;
}

namespace cryostat::net {

struct QueuedMessage {
  std::string data;
  std::vector<UniqueFd> files;              // descriptors in flight, open in this process now
  std::optional<struct ucred> credentials;  // as the kernel keeps them with the message
  std::string sender;  // of a datagram: the name of the socket it came from (unix_address.h)
};

// SIOCINQ: all bytes of a stream or seqpacket socket, those of the first datagram of another.
Result<size_t> bytes_waiting(int socket);

// Everything that waits in `socket` (of SOCK_* `type`), oldest first, with message boundaries; of a
// stream one element for what a recvmsg(2) would return. The target's own descriptor may be given:
// nothing is taken; for the time of the call SO_PEEK_OFF and SO_PASSCRED are changed and put back.
// Precondition: nobody reads from or writes to the pair meanwhile. kRefused for urgent data, and
// for messages behind an error that is not reported yet.
Result<std::vector<QueuedMessage>> peek_unix_queue(int socket, int type);

// SIOCOUTQ: memory of the messages of a socket that were not received yet.
Result<size_t> memory_in_flight(int sender);
// What these messages take if one socket of this type has sent them all.
Result<size_t> memory_of_copy(int type, const std::vector<const QueuedMessage*>& queue);

// Were all messages seen that `sender` has in flight? An empty datagram can be peeked at only once
// (recv(2) skips it afterwards); such a queue is refused, kRefused, rather than saved without it.
Result<void> check_all_seen(int sender, int type, const std::vector<QueuedMessage>& queue);

using UnixMessages = google::protobuf::RepeatedPtrField<pb::UnixMessage>;

using FileOf = std::function<Result<int>(uint32_t description)>;

// Sends one message, to the peer of `sender` or to where `to` leads. EAGAIN, as an error, when the
// other end has no room for it.
Result<void> send_unix_message(int sender, const UnixRoute* to, const pb::UnixMessage& message,
                               const FileOf& file_of);

// Room for all of these, whatever SO_SNDBUF is: options are to be set after this.
void enlarge_send_buffer(int sender, const UnixMessages& queue);

// Sends the messages from `sender`, one end of a pair nothing was received from yet. `file_of`
// gives an open descriptor of a description in flight. Raises SO_SNDBUF as needed.
Result<void> fill_unix_queue(int sender, int type, const UnixMessages& queue,
                             const FileOf& file_of);

}  // namespace cryostat::net
