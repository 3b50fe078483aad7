#include "engine/net/socket_options.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <string_view>
#include <vector>

#include "engine/base/unique_fd.h"
#include "engine/net/socket_option_table.h"
#include "proto/sockets.pb.h"

namespace cryostat::net {

namespace {

// A value as getsockopt(2) gave it.
struct Value {
  std::array<char, kMaxOptionBytes> bytes;  // the first `length` of them
  socklen_t length = 0;
  std::string_view text() const { return {bytes.data(), length}; }
};

// False with errno when the socket has no such option.
bool get(int socket, const SocketOptionRow& option, Value& value) {
  value.length = static_cast<socklen_t>(option.max_bytes);
  return getsockopt(socket, option.level, option.name, value.bytes.data(), &value.length) == 0;
}

using Values = std::vector<std::string>;  // in the order of the table

// Those of a new socket of the same sort; empty when none can be made.
const Values& values_of_new(const SocketSort& sort) {
  static thread_local std::map<SocketSort, Values> known;
  const auto [found, is_new] = known.emplace(sort, Values());
  const UniqueFd fresh(is_new ? socket(sort.domain, sort.type | SOCK_CLOEXEC, sort.protocol) : -1);
  if (!fresh) return found->second;
  for (const auto& option : socket_option_rows()) {
    Value value;
    const bool has = can_have(sort, option) && get(fresh.get(), option, value);
    found->second.emplace_back(has ? value.text() : "");
  }
  return found->second;
}

bool is_listening(int socket) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value == 1;
}

// Of a connection that was never made, or of a listening socket.
bool is_worth_saving(int socket, const SocketOptionRow& option) {
  if (option.setting != Setting::kListening || is_listening(socket)) return true;
  sockaddr_storage peer;
  socklen_t length = sizeof peer;
  return option.level != SOL_SOCKET &&
         getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &length) != 0;
}

bool is_buffer(const SocketOptionRow& option) {
  return option.setting == Setting::kSendBuffer || option.setting == Setting::kReceiveBuffer;
}

int set_buffer(int socket, const SocketOptionRow& option, const std::string& wanted) {
  int value = 0;
  std::memcpy(&value, wanted.data(), std::min(sizeof value, wanted.size()));
  value /= 2;
  const bool sends = option.setting == Setting::kSendBuffer;
  if (setsockopt(socket, SOL_SOCKET, sends ? SO_SNDBUFFORCE : SO_RCVBUFFORCE, &value,
                 sizeof value) == 0)
    return 0;
  return setsockopt(socket, SOL_SOCKET, option.name, &value, sizeof value);
}

int set(int socket, const SocketOptionRow& option, const std::string& value) {
  if (is_buffer(option)) return set_buffer(socket, option, value);
  return setsockopt(socket, option.level, option.name, value.data(),
                    static_cast<socklen_t>(value.size()));
}

}  // namespace

Result<void> read_socket_options(int socket, SocketOptions& options) {
  const auto sort = sort_of(socket);
  const auto& defaults = values_of_new(sort);
  const auto rows = socket_option_rows();
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& option = rows[i];
    if (!can_have(sort, option)) continue;
    Value value;
    if (!get(socket, option, value)) {
      // Other families, types and states (EINVAL of a raw option); older kernels.
      if (errno == ENOPROTOOPT || errno == EOPNOTSUPP || errno == EINVAL) continue;
      return fail_errno(fmt::format("get {}", option.text));
    }
    const bool is_default = !defaults.empty() && defaults[i] == value.text();
    if (is_default && option.setting != Setting::kAlways && !is_buffer(option)) continue;
    if (!is_worth_saving(socket, option)) continue;
    auto& out = *options.Add();
    out.set_level(option.level);
    out.set_name(option.name);
    out.set_value(std::string(value.text()));
  }
  return {};
}

const pb::SocketOption* find_option(const SocketOptions& options, int level, int name) {
  for (const auto& option : options)
    if (option.level() == level && option.name() == name) return &option;
  return nullptr;
}

int int_option(const SocketOptions& options, int level, int name, int otherwise) {
  const auto* option = find_option(options, level, name);
  if (option == nullptr || option->value().size() < sizeof(int)) return otherwise;
  int value = 0;
  std::memcpy(&value, option->value().data(), sizeof value);
  return value;
}

Result<void> apply_socket_options(int socket, const SocketOptions& options) {
  for (const auto& wanted : options) {
    const auto* option = find_socket_option(wanted.level(), wanted.name());
    if (option == nullptr || wanted.value().size() > option->max_bytes)
      return fail(ErrorKind::kImages, fmt::format("unknown socket option {} of level {}",
                                                  wanted.name(), wanted.level()));
    Value now;
    if (get(socket, *option, now) && now.text() == wanted.value()) continue;
    if (set(socket, *option, wanted.value()) != 0)
      return tl::unexpected(
          Error::from_errno(errno, fmt::format("set {}", option->text)).as(ErrorKind::kMachine));
  }
  return {};
}

Result<std::string> read_socket_filter(int socket) {
  // With no room the kernel tells how many instructions there are.
  socklen_t count = 0;
  if (getsockopt(socket, SOL_SOCKET, SO_GET_FILTER, nullptr, &count) != 0) {
    if (errno == EACCES)
      return fail(ErrorKind::kRefused, "socket with an eBPF filter can't be checkpointed");
    return fail_errno("get SO_GET_FILTER");
  }
  if (count == 0) return std::string();
  if (count > BPF_MAXINSNS) return fail(ErrorKind::kFailed, "a socket filter is too long");
  std::string filter(count * sizeof(sock_filter), '\0');
  if (getsockopt(socket, SOL_SOCKET, SO_GET_FILTER, filter.data(), &count) != 0)
    return fail_errno("get SO_GET_FILTER");
  return filter;
}

Result<void> apply_socket_filter(int socket, const std::string& filter) {
  if (filter.empty()) return {};
  const auto count = filter.size() / sizeof(sock_filter);
  if (filter.size() % sizeof(sock_filter) != 0 || count > BPF_MAXINSNS)
    return fail(ErrorKind::kImages, "a socket filter of a bad size");
  std::string copy = filter;
  sock_fprog program = {};
  program.len = static_cast<unsigned short>(count);
  program.filter = reinterpret_cast<sock_filter*>(copy.data());
  if (setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
    return fail_errno("set SO_ATTACH_FILTER");
  return {};
}

}  // namespace cryostat::net
