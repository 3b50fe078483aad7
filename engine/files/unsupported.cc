#include "engine/files/unsupported.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include <array>
#include <string_view>
#include <utility>

namespace cryostat::files {

namespace {

using Names = std::pair<std::string_view, std::string_view>;

// Names in /proc/<pid>/fd links of anonymous inodes, and what people call them.
constexpr std::array kAnonymousNames = {
    Names{"io_uring", "io_uring instance"},
    Names{"userfaultfd", "userfaultfd"},
    Names{"perf_event", "perf event"},
    Names{"bpf-prog", "BPF program"},
    Names{"bpf_link", "BPF link"},
    Names{"bpf-link", "BPF link"},
    Names{"btf", "BPF type information"},
    Names{"bpf_iter", "BPF iterator"},
    Names{"landlock-ruleset", "Landlock ruleset"},
    Names{"seccomp notify", "seccomp notification listener"},
    Names{"fscontext", "file system context (fsopen)"},
    Names{"kvm-vm", "KVM virtual machine"},
    Names{"dmabuf", "DMA buffer"},
    Names{"sync_file", "DMA sync file"},
};

constexpr std::array kFamilies = {
    std::pair<int, std::string_view>{AF_UNIX, "UNIX"},
    std::pair<int, std::string_view>{AF_INET, "IPv4"},
    std::pair<int, std::string_view>{AF_INET6, "IPv6"},
    std::pair<int, std::string_view>{AF_NETLINK, "netlink"},
    std::pair<int, std::string_view>{AF_PACKET, "packet"},
    std::pair<int, std::string_view>{AF_VSOCK, "vsock"},
    std::pair<int, std::string_view>{AF_ALG, "kernel crypto (AF_ALG)"},
    std::pair<int, std::string_view>{AF_BLUETOOTH, "Bluetooth"},
    std::pair<int, std::string_view>{AF_CAN, "CAN"},
    std::pair<int, std::string_view>{AF_XDP, "XDP"},
};

// Of the Internet families, beside those there is a kind for.
constexpr std::array kProtocols = {
    std::pair<int, std::string_view>{132, "SCTP"},
    std::pair<int, std::string_view>{262, "MPTCP"},
    std::pair<int, std::string_view>{115, "L2TP"},
    std::pair<int, std::string_view>{256, "SMC"},
};

constexpr std::array kTypes = {
    std::pair<int, std::string_view>{SOCK_STREAM, "stream"},
    std::pair<int, std::string_view>{SOCK_DGRAM, "datagram"},
    std::pair<int, std::string_view>{SOCK_SEQPACKET, "seqpacket"},
    std::pair<int, std::string_view>{SOCK_RAW, "raw"},
};

template <typename Table>
std::string name_in(const Table& table, int value, std::string_view otherwise) {
  for (const auto& [number, name] : table)
    if (number == value) return std::string(name);
  return fmt::format("{} {}", otherwise, value);
}

int socket_option(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

std::string socket_name(const OpenDescription& description) {
  const int family = socket_option(description.copy.get(), SO_DOMAIN);
  const int type = socket_option(description.copy.get(), SO_TYPE);
  if (family < 0) return "socket";
  const bool listening = socket_option(description.copy.get(), SO_ACCEPTCONN) == 1;
  const int protocol = socket_option(description.copy.get(), SO_PROTOCOL);
  const bool inet = family == AF_INET || family == AF_INET6;
  return fmt::format(
      "{}{} {} socket{}", listening ? "listening " : "", name_in(kFamilies, family, "family"),
      name_in(kTypes, type, "type"),
      inet ? fmt::format(" of protocol {} ({})", protocol, name_in(kProtocols, protocol, "number"))
           : "");
}

std::string object_name(const OpenDescription& description) {
  const auto anonymous = description.anonymous_inode();
  if (!anonymous.empty()) {
    for (const auto& [key, name] : kAnonymousNames)
      if (anonymous == key) return std::string(name);
    return fmt::format("{} object", anonymous);
  }
  if (description.link.starts_with("pidfd:")) return "pidfd";
  const auto device = fmt::format("{} ({}:{})", description.link, major(description.st.st_rdev),
                                  minor(description.st.st_rdev));
  switch (description.st.st_mode & S_IFMT) {
    case S_IFSOCK:
      return socket_name(description);
    case S_IFBLK:
      return fmt::format("block device {}", device);
    case S_IFCHR:
      return fmt::format("character device {}", device);
    default:
      return fmt::format("object {}", description.link);
  }
}

}  // namespace

std::string unsupported_reason(const OpenDescription& description) {
  return object_name(description) + " can't be checkpointed";
}

std::string disguised_object(const OpenDescription& description) {
  switch (description.fs_type) {
    case SECRETMEM_MAGIC:
      return "secret memory (memfd_secret) can't be checkpointed";
    case NSFS_MAGIC:
      return fmt::format("namespace {} can't be checkpointed", description.link);
    case DMA_BUF_MAGIC:
      return "DMA buffer can't be checkpointed";
    default:
      return description.link.starts_with("pidfd:") ? "pidfd can't be checkpointed" : "";
  }
}

}  // namespace cryostat::files
