// The UNIX sockets of this network namespace, as the kernel lists them (sock_diag(7)).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::net {

struct UnixSocket {
  uint64_t inode = 0;  // st_ino of its descriptors
  int type = 0;        // SOCK_*
  bool listening = false;
  std::string name;         // sun_path as it was bound (unix(7)); empty: it has none
  uint64_t peer_inode = 0;  // 0: not connected, the peer is closed or was not accepted yet
  uint8_t shutdown = 0;     // bit 0: reading, bit 1: writing
  // Of a listening socket: the inodes of those that wait to be accepted, oldest first; 0 for one
  // that was closed since.
  std::vector<uint64_t> waiting;
  uint32_t backlog = 0;  // of a listening socket

  bool named() const { return !name.empty(); }
};

// Every UNIX socket, read at once: asked one by one the kernel would walk through all of them for
// each question.
class UnixSocketTable {
 public:
  // kRefused when this kernel has no unix_diag.
  static Result<UnixSocketTable> read();

  // nullptr when there is none, or it belongs to another network namespace.
  const UnixSocket* find(uint64_t inode) const;
  // The listening socket in whose backlog the connection of this socket waits; nullptr: none.
  const UnixSocket* awaited_by(uint64_t inode) const;
  // Whether a listening socket has this name.
  bool listens_at(const std::string& name) const { return listening_names_.contains(name); }
  // The datagram socket of this name; nullptr: none.
  const UnixSocket* datagram_at(const std::string& name) const;
  // Every socket whose peer is this one, but for its own peer.
  std::vector<const UnixSocket*> connected_to(uint64_t inode) const;
  size_t size() const { return sockets_.size(); }

 private:
  void index();
  std::unordered_map<uint64_t, UnixSocket> sockets_;
  std::unordered_map<uint64_t, uint64_t> awaited_by_;      // listening socket, by client
  std::unordered_multimap<uint64_t, uint64_t> connected_;  // by peer
  std::unordered_set<std::string> listening_names_;
  std::unordered_map<std::string, uint64_t> datagrams_;  // by name
};

// For messages: "/run/x", "@name" for an abstract one, "(unnamed)"; bytes that can't be shown as
// \\xNN.
std::string show_unix_name(std::string_view name);

}  // namespace cryostat::net
