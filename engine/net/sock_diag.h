// The UNIX sockets of this network namespace, as the kernel lists them (sock_diag(7)).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "engine/base/error.h"

namespace cryostat::net {

struct UnixSocket {
  uint64_t inode = 0;  // st_ino of its descriptors
  int type = 0;        // SOCK_*
  bool listening = false;
  bool named = false;       // bound to a path or an abstract name
  uint64_t peer_inode = 0;  // 0: not connected, or the peer is closed
  uint8_t shutdown = 0;     // bit 0: reading, bit 1: writing
};

// Every UNIX socket, read at once: asked one by one the kernel would walk through all of them for
// each question.
class UnixSocketTable {
 public:
  // kRefused when this kernel has no unix_diag.
  static Result<UnixSocketTable> read();

  // nullptr when there is none, or it belongs to another network namespace.
  const UnixSocket* find(uint64_t inode) const;
  size_t size() const { return sockets_.size(); }

 private:
  std::unordered_map<uint64_t, UnixSocket> sockets_;
};

}  // namespace cryostat::net
