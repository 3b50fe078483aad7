// What the victims of UNIX sockets have in common.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <string>

#include "tests/victims/victim.h"

namespace victim {

struct Address {
  sockaddr_un address = {AF_UNIX, {}};
  socklen_t length = 0;

  // "@name" is abstract.
  explicit Address(const std::string& name) {
    memcpy(address.sun_path, name.data(), name.size());
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + 1);
    if (name[0] != '@') return;
    address.sun_path[0] = 0;
    --length;
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

inline std::string name_of(const sockaddr_un& address, socklen_t length) {
  if (length <= offsetof(sockaddr_un, sun_path)) return "";
  std::string name(address.sun_path, length - offsetof(sockaddr_un, sun_path));
  if (name[0] != 0) return name.c_str();
  name[0] = '@';
  return name;
}

inline std::string own_name(int fd) {
  sockaddr_un address = {};
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "error";
  return name_of(address, length);
}

inline std::string peer_name(int fd) {
  sockaddr_un address = {};
  socklen_t length = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return errno == ENOTCONN ? "none" : "error";
  return name_of(address, length);
}

inline bool bind_to(int fd, const std::string& name) {
  const Address address(name);
  return bind(fd, address.get(), address.length) == 0;
}

inline bool connect_to(int fd, const std::string& name) {
  const Address address(name);
  return connect(fd, address.get(), address.length) == 0;
}

inline int listen_at(Victim& self, int type, const std::string& name, int backlog = 8) {
  const int fd = socket(AF_UNIX, type, 0);
  self.must(fd >= 0 && bind_to(fd, name) && listen(fd, backlog) == 0, name.c_str());
  return fd;
}

inline int client_of(Victim& self, int type, const std::string& name) {
  const int fd = socket(AF_UNIX, type, 0);
  self.must(fd >= 0 && connect_to(fd, name), name.c_str());
  return fd;
}

inline bool put(int fd, const std::string& text) {
  return send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

inline bool put_to(int fd, const std::string& name, const std::string& text) {
  const Address address(name);
  return sendto(fd, text.data(), text.size(), MSG_NOSIGNAL, address.get(), address.length) ==
         static_cast<ssize_t>(text.size());
}

// What waits, or "error N"; the name of the sender behind "text from ".
inline std::string get(int fd, bool with_sender = false) {
  char text[512];
  sockaddr_un from = {};
  socklen_t length = sizeof(from);
  const auto got =
      recvfrom(fd, text, sizeof(text), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length);
  if (got < 0) return "error " + std::to_string(errno);
  std::string answer(text, static_cast<size_t>(got));
  if (with_sender) answer += " from " + name_of(from, length);
  return answer;
}

inline ucred peer_credentials(int fd) {
  ucred credentials = {};
  socklen_t length = sizeof(credentials);
  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
  return credentials;
}

inline int int_option(int fd, int name) {
  int value = -1;
  socklen_t length = sizeof(value);
  getsockopt(fd, SOL_SOCKET, name, &value, &length);
  return value;
}

}  // namespace victim
