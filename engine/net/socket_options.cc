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
#include "proto/sockets.pb.h"

namespace cryostat::net {

namespace {

// Newer than the headers this is built with may be; the numbers are those of
// include/uapi/asm-generic/socket.h.
constexpr int kSoPassPidfd = 76, kSoRcvMark = 75, kSoTxRehash = 74, kSoReserveMem = 73,
              kSoBufLock = 72, kSoBusyPollBudget = 70, kSoPreferBusyPoll = 69, kSoPassRights = 83,
              kSoRcvPriority = 82;

enum class Setting : uint8_t {
  kPlain,
  // Saved even where it is what a new socket has: that depends on the machine.
  kAlways,
  // The kernel doubles what it is given; going over the limit has an option of its own.
  kSendBuffer,
  kReceiveBuffer,
};

struct Option {
  int level;
  int name;
  std::string_view text;
  size_t max_bytes = sizeof(int);
  Setting setting = Setting::kPlain;
};

// In the order they are set: buffer sizes lock themselves, SO_BUF_LOCK says what was locked.
constexpr std::array kOptions = {
    Option{SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF", sizeof(int), Setting::kSendBuffer},
    Option{SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF", sizeof(int), Setting::kReceiveBuffer},
    Option{SOL_SOCKET, kSoBufLock, "SO_BUF_LOCK", sizeof(int), Setting::kAlways},
    Option{SOL_SOCKET, SO_DEBUG, "SO_DEBUG"},
    Option{SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"},
    Option{SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT"},
    Option{SOL_SOCKET, SO_DONTROUTE, "SO_DONTROUTE"},
    Option{SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST"},
    Option{SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE"},
    Option{SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE"},
    Option{SOL_SOCKET, SO_NO_CHECK, "SO_NO_CHECK"},
    Option{SOL_SOCKET, SO_PRIORITY, "SO_PRIORITY"},
    Option{SOL_SOCKET, SO_LINGER, "SO_LINGER", sizeof(struct linger)},
    Option{SOL_SOCKET, SO_PASSCRED, "SO_PASSCRED"},
    Option{SOL_SOCKET, SO_PASSSEC, "SO_PASSSEC"},
    Option{SOL_SOCKET, kSoPassPidfd, "SO_PASSPIDFD"},
    Option{SOL_SOCKET, kSoPassRights, "SO_PASSRIGHTS"},
    Option{SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT"},
    Option{SOL_SOCKET, SO_RCVTIMEO, "SO_RCVTIMEO", sizeof(struct timeval)},
    Option{SOL_SOCKET, SO_SNDTIMEO, "SO_SNDTIMEO", sizeof(struct timeval)},
    Option{SOL_SOCKET, SO_BINDTODEVICE, "SO_BINDTODEVICE", IFNAMSIZ},
    Option{SOL_SOCKET, SO_TIMESTAMP, "SO_TIMESTAMP"},
    Option{SOL_SOCKET, SO_TIMESTAMPNS, "SO_TIMESTAMPNS"},
    Option{SOL_SOCKET, SO_TIMESTAMPING, "SO_TIMESTAMPING"},
    Option{SOL_SOCKET, SO_TIMESTAMP_NEW, "SO_TIMESTAMP_NEW"},
    Option{SOL_SOCKET, SO_TIMESTAMPNS_NEW, "SO_TIMESTAMPNS_NEW"},
    Option{SOL_SOCKET, SO_TIMESTAMPING_NEW, "SO_TIMESTAMPING_NEW"},
    Option{SOL_SOCKET, SO_MARK, "SO_MARK"},
    Option{SOL_SOCKET, SO_RXQ_OVFL, "SO_RXQ_OVFL"},
    Option{SOL_SOCKET, SO_WIFI_STATUS, "SO_WIFI_STATUS"},
    Option{SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF"},
    Option{SOL_SOCKET, SO_NOFCS, "SO_NOFCS"},
    Option{SOL_SOCKET, SO_SELECT_ERR_QUEUE, "SO_SELECT_ERR_QUEUE"},
    Option{SOL_SOCKET, SO_BUSY_POLL, "SO_BUSY_POLL", sizeof(int), Setting::kAlways},
    Option{SOL_SOCKET, kSoPreferBusyPoll, "SO_PREFER_BUSY_POLL"},
    Option{SOL_SOCKET, kSoBusyPollBudget, "SO_BUSY_POLL_BUDGET"},
    Option{SOL_SOCKET, SO_MAX_PACING_RATE, "SO_MAX_PACING_RATE", sizeof(uint64_t)},
    Option{SOL_SOCKET, SO_ZEROCOPY, "SO_ZEROCOPY"},
    Option{SOL_SOCKET, SO_TXTIME, "SO_TXTIME", 8},
    Option{SOL_SOCKET, kSoTxRehash, "SO_TXREHASH", sizeof(int), Setting::kAlways},
    Option{SOL_SOCKET, kSoReserveMem, "SO_RESERVE_MEM"},
    Option{SOL_SOCKET, kSoRcvMark, "SO_RCVMARK"},
    Option{SOL_SOCKET, kSoRcvPriority, "SO_RCVPRIORITY"},
    // Last: nothing about the filter can be changed afterwards.
    Option{SOL_SOCKET, SO_LOCK_FILTER, "SO_LOCK_FILTER"},
};

const Option* find_option(int level, int name) {
  const auto found = std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& option) {
    return option.level == level && option.name == name;
  });
  return found == kOptions.end() ? nullptr : &*found;
}

// A value as getsockopt(2) gave it.
struct Value {
  std::array<char, 64> bytes = {};
  socklen_t length = 0;
  std::string_view text() const { return {bytes.data(), length}; }
};

// False with errno when the socket has no such option.
bool get(int socket, const Option& option, Value& value) {
  value.length = static_cast<socklen_t>(option.max_bytes);
  return getsockopt(socket, option.level, option.name, value.bytes.data(), &value.length) == 0;
}

using Values = std::vector<std::string>;  // in the order of the table

// Those of a new socket of the same sort; empty when none can be made.
const Values& values_of_new(int socket_of_sort) {
  std::array<int, 3> sort = {};
  constexpr std::array kNames = {SO_DOMAIN, SO_TYPE, SO_PROTOCOL};
  for (size_t i = 0; i < sort.size(); ++i) {
    socklen_t length = sizeof sort[i];
    (void)getsockopt(socket_of_sort, SOL_SOCKET, kNames[i], &sort[i], &length);
  }
  static thread_local std::map<std::array<int, 3>, Values> known;
  const auto [found, is_new] = known.emplace(sort, Values());
  const UniqueFd fresh(is_new ? socket(sort[0], sort[1] | SOCK_CLOEXEC, sort[2]) : -1);
  if (!fresh) return found->second;
  for (const auto& option : kOptions) {
    Value value;
    found->second.emplace_back(get(fresh.get(), option, value) ? value.text() : "");
  }
  return found->second;
}

int set_buffer(int socket, const Option& option, const std::string& wanted) {
  int value = 0;
  std::memcpy(&value, wanted.data(), std::min(sizeof value, wanted.size()));
  value /= 2;
  const bool sends = option.setting == Setting::kSendBuffer;
  if (setsockopt(socket, SOL_SOCKET, sends ? SO_SNDBUFFORCE : SO_RCVBUFFORCE, &value,
                 sizeof value) == 0)
    return 0;
  return setsockopt(socket, SOL_SOCKET, option.name, &value, sizeof value);
}

int set(int socket, const Option& option, const std::string& value) {
  if (option.setting == Setting::kSendBuffer || option.setting == Setting::kReceiveBuffer)
    return set_buffer(socket, option, value);
  return setsockopt(socket, option.level, option.name, value.data(),
                    static_cast<socklen_t>(value.size()));
}

}  // namespace

Result<void> read_socket_options(int socket, SocketOptions& options) {
  const auto& defaults = values_of_new(socket);
  for (size_t i = 0; i < kOptions.size(); ++i) {
    const auto& option = kOptions[i];
    Value value;
    if (!get(socket, option, value)) {
      // Other families, older kernels.
      if (errno == ENOPROTOOPT || errno == EOPNOTSUPP) continue;
      return fail_errno(fmt::format("get {}", option.text));
    }
    const bool is_default = !defaults.empty() && defaults[i] == value.text();
    if (is_default && option.setting == Setting::kPlain) continue;
    auto& out = *options.Add();
    out.set_level(option.level);
    out.set_name(option.name);
    out.set_value(std::string(value.text()));
  }
  return {};
}

Result<void> apply_socket_options(int socket, const SocketOptions& options) {
  for (const auto& wanted : options) {
    const auto* option = find_option(wanted.level(), wanted.name());
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
