// Socket options (socket(7)): read from one socket and set on another.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <string>

#include "engine/base/error.h"

namespace cryostat::pb {
class SocketOption;
}

namespace cryostat::net {

using SocketOptions = google::protobuf::RepeatedPtrField<pb::SocketOption>;

// The value of every option of the table (socket_option_table.h) that is not what a new socket of
// this sort has, and the buffer sizes. Changes nothing.
Result<void> read_socket_options(int socket, SocketOptions& options);

// An option among those that were read; nullptr when it is not there: a new socket has that value.
const pb::SocketOption* find_option(const SocketOptions& options, int level, int name);
// The value of one that is an int.
int int_option(const SocketOptions& options, int level, int name, int otherwise);

// Sets those that are not as wanted already, buffer sizes beyond the limits included
// (CAP_NET_ADMIN). kImages for an option that is not in the table; kMachine, with its name, for one
// that this kernel does not take.
Result<void> apply_socket_options(int socket, const SocketOptions& options);

// The classic filter of a socket (SO_ATTACH_FILTER), as bytes of struct sock_filter; empty: none.
// kRefused for an eBPF filter.
Result<std::string> read_socket_filter(int socket);
Result<void> apply_socket_filter(int socket, const std::string& filter);

}  // namespace cryostat::net
