// Multicast groups that a socket is a member of (ip(7), ipv6(7), RFC 3678).
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include "engine/base/error.h"

namespace cryostat::pb {
class MulticastMembership;
}

namespace cryostat::net {

using Memberships = google::protobuf::RepeatedPtrField<pb::MulticastMembership>;

// The kernel tells no list of them: each group of each interface of this network namespace is asked
// for. `family` of the socket; one of IPv6 may be a member of IPv4 groups too.
Result<void> read_memberships(int socket, int family, Memberships& memberships);
Result<void> join_groups(int socket, const Memberships& memberships);

}  // namespace cryostat::net
