// The TCP and UDP sockets of this network namespace, as the kernel lists them (sock_diag(7)): what
// no socket option tells.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::net {

struct InetSocketEntry {
  uint64_t inode = 0;    // st_ino of its descriptors; 0: no descriptor (yet, or any more)
  uint8_t state = 0;     // TCP_*
  uint8_t shutdown = 0;  // bit 0: reading, bit 1: writing
  bool has_md5 = false;  // TCP_MD5SIG keys, which only a privileged reader is told of
  uint16_t local_port = 0;
  std::string peer;  // "192.0.2.1:4711"
};

// Lists are read when they are first asked for, one for each family and protocol.
class InetDiag {
 public:
  // nullptr when the socket is on no list: one that is neither bound nor connected, or this kernel
  // has no diag module for the protocol.
  const InetSocketEntry* find(int family, int protocol, uint64_t inode);
  // Connections that nobody has accepted yet at this port.
  std::vector<const InetSocketEntry*> unaccepted(int family, uint16_t local_port);

 private:
  struct List {
    std::unordered_map<uint64_t, InetSocketEntry> by_inode;
    std::vector<InetSocketEntry> without_inode;
  };
  List& list(int family, int protocol);
  std::map<std::pair<int, int>, List> lists_;
};

}  // namespace cryostat::net
