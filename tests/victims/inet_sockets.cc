// Internet sockets without connections: bound, listening, with peers, options, groups and filters.
#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "tests/victims/victim.h"

namespace {

struct Address {
  sockaddr_storage storage = {};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Address loopback(int family, uint16_t port = 0) {
  Address address;
  if (family == AF_INET) {
    auto& in = reinterpret_cast<sockaddr_in&>(address.storage);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons(port);
    address.length = sizeof in;
  } else {
    auto& in = reinterpret_cast<sockaddr_in6&>(address.storage);
    in.sin6_family = AF_INET6;
    in.sin6_addr = in6addr_loopback;
    in.sin6_port = htons(port);
    address.length = sizeof in;
  }
  return address;
}

Address name_of(int fd) {
  Address address;
  address.length = sizeof address.storage;
  getsockname(fd, address.get(), &address.length);
  return address;
}

uint16_t port_of(int fd) {
  const Address name = name_of(fd);
  return ntohs(reinterpret_cast<const sockaddr_in&>(name.storage).sin_port);
}

void set(int fd, int level, int option, int value) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0)
    fprintf(stderr, "option %d:%d: %s\n", level, option, strerror(errno));
}

int get(int fd, int level, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  getsockopt(fd, level, option, &value, &length);
  return value;
}

// Options and what they were when the victim said ready.
class Options {
 public:
  void set(int fd, int level, int option, int value) {
    ::set(fd, level, option, value);
    wanted_.push_back({fd, level, option, get(fd, level, option)});
  }
  void check(victim::Victim& self) const {
    for (const auto& each : wanted_) {
      const int now = get(each.fd, each.level, each.option);
      self.expect(now == each.value, "fd %d option %d:%d is %d, was %d", each.fd, each.level,
                  each.option, now, each.value);
    }
  }

 private:
  struct Wanted {
    int fd, level, option, value;
  };
  std::vector<Wanted> wanted_;
};

int bound(int family, int type, Address address, Options& options, bool share = false) {
  const int fd = socket(family, type, 0);
  if (share) options.set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (family == AF_INET6) options.set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (bind(fd, address.get(), address.length) != 0) fprintf(stderr, "bind: %s\n", strerror(errno));
  return fd;
}

bool readable(int fd) {
  pollfd poll_fd = {fd, POLLIN, 0};
  return poll(&poll_fd, 1, 3000) == 1;
}

// Somebody can connect, and talk.
void check_listener(victim::Victim& self, int listener, Address to) {
  const int client = socket(to.storage.ss_family, SOCK_STREAM, 0);
  if (!self.expect(connect(client, to.get(), to.length) == 0, "connect to %d: %s", listener,
                   strerror(errno)))
    return;
  const int server = accept(listener, nullptr, nullptr);
  char byte = 0;
  self.expect(server >= 0 && send(client, "x", 1, 0) == 1 && recv(server, &byte, 1, 0) == 1,
              "listener %d takes no connection", listener);
  close(client);
  close(server);
}

void check_datagram(victim::Victim& self, int from, int to, const char* what) {
  char byte = 0;
  self.expect(
      send(from, "y", 1, 0) == 1 && readable(to) && recv(to, &byte, 1, 0) == 1 && byte == 'y',
      "%s: nothing came", what);
}

group_filter group_of(int interface, const char* group, const char* source) {
  group_filter filter = {};
  filter.gf_interface = static_cast<uint32_t>(interface);
  auto& in = reinterpret_cast<sockaddr_in&>(filter.gf_group);
  in.sin_family = AF_INET;
  inet_pton(AF_INET, group, &in.sin_addr);
  if (source == nullptr) return filter;
  filter.gf_numsrc = 1;
  auto& from = reinterpret_cast<sockaddr_in&>(filter.gf_slist[0]);
  from.sin_family = AF_INET;
  inet_pton(AF_INET, source, &from.sin_addr);
  return filter;
}

void join(int fd, const char* group, const char* source) {
  group_filter filter = group_of(1, group, source);
  group_req request = {};
  request.gr_interface = filter.gf_interface;
  request.gr_group = filter.gf_group;
  if (setsockopt(fd, IPPROTO_IP, MCAST_JOIN_GROUP, &request, sizeof request) != 0)
    fprintf(stderr, "join: %s\n", strerror(errno));
  if (source == nullptr) return;
  filter.gf_fmode = MCAST_INCLUDE;
  if (setsockopt(fd, IPPROTO_IP, MCAST_MSFILTER, &filter, GROUP_FILTER_SIZE(1)) != 0)
    fprintf(stderr, "filter: %s\n", strerror(errno));
}

void check_group(victim::Victim& self, int fd, const char* group, unsigned mode, unsigned sources) {
  group_filter filter = group_of(1, group, nullptr);
  socklen_t length = sizeof filter;
  self.expect(getsockopt(fd, IPPROTO_IP, MCAST_MSFILTER, &filter, &length) == 0 &&
                  filter.gf_fmode == mode && filter.gf_numsrc == sources,
              "group %s: mode %u, %u sources", group, filter.gf_fmode, filter.gf_numsrc);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  Options options;
  constexpr int kTcp = IPPROTO_TCP, kIp = IPPROTO_IP;

  const int fresh = socket(AF_INET, SOCK_STREAM, 0);
  options.set(fresh, kTcp, TCP_NODELAY, 1);
  options.set(fresh, kTcp, TCP_KEEPIDLE, 33);
  options.set(fresh, SOL_SOCKET, SO_SNDBUFFORCE, 9 << 20);
  options.set(fresh, SOL_SOCKET, SO_MARK, 7);
  options.set(fresh, kIp, IP_TTL, 12);

  const int bound_only = bound(AF_INET, SOCK_STREAM, loopback(AF_INET), options);
  const int listener = bound(AF_INET, SOCK_STREAM, loopback(AF_INET), options);
  options.set(listener, kTcp, TCP_FASTOPEN, 5);
  options.set(listener, kTcp, TCP_MAXSEG, 1000);
  listen(listener, 7);
  const uint16_t port = port_of(listener);
  const int listener6 = bound(AF_INET6, SOCK_STREAM, loopback(AF_INET6, port), options);
  listen(listener6, 9);
  const int dual = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 any = {};
  any.sin6_family = AF_INET6;
  self.must(bind(dual, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0, "bind");
  listen(dual, 5);
  const int group1 = bound(AF_INET, SOCK_STREAM, loopback(AF_INET), options, true);
  listen(group1, 5);
  const int group2 = bound(AF_INET, SOCK_STREAM, name_of(group1), options, true);
  listen(group2, 5);

  const int udp1 = bound(AF_INET, SOCK_DGRAM, loopback(AF_INET), options);
  const int udp2 = bound(AF_INET, SOCK_DGRAM, loopback(AF_INET), options);
  Address name1 = name_of(udp1), name2 = name_of(udp2);
  self.must(connect(udp1, name2.get(), name2.length) == 0, "connect");
  self.must(connect(udp2, name1.get(), name1.length) == 0, "connect");
  shutdown(udp2, SHUT_WR);
  options.set(udp1, SOL_SOCKET, SO_RCVBUFFORCE, 20 << 20);
  options.set(udp1, kIp, IP_PKTINFO, 1);
  options.set(udp1, kIp, IP_RECVERR, 1);
  sock_filter everything[] = {{BPF_RET | BPF_K, 0, 0, 0xffff}};
  const sock_fprog program = {1, everything};
  self.must(setsockopt(udp2, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0,
            "filter");

  const int udp6 = bound(AF_INET6, SOCK_DGRAM, loopback(AF_INET6), options);
  Address name6 = name_of(udp6);
  self.must(connect(udp6, name6.get(), name6.length) == 0, "connect to itself");
  options.set(udp6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);

  const int member = socket(AF_INET, SOCK_DGRAM, 0);
  join(member, "239.7.7.7", nullptr);
  join(member, "239.7.7.8", "10.1.2.3");
  options.set(member, kIp, IP_MULTICAST_TTL, 9);
  options.set(member, kIp, IP_MULTICAST_LOOP, 0);

  const int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (raw >= 0) options.set(raw, 255 /* SOL_RAW */, 1 /* ICMP_FILTER */, ~(1 << 8));
  const int raw6 = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
  const int lite = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
  if (lite >= 0) options.set(lite, IPPROTO_UDPLITE, 10 /* UDPLITE_SEND_CSCOV */, 8);
  const int device = socket(AF_INET, SOCK_DGRAM, 0);
  self.must(setsockopt(device, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0, "SO_BINDTODEVICE");
  const uint16_t bound_port = port_of(bound_only);

  self.ready_and_wait();

  options.check(self);
  self.expect_equal("port of a listener", port, port_of(listener));
  self.expect_equal("port of a bound socket", bound_port, port_of(bound_only));
  check_listener(self, listener, loopback(AF_INET, port));
  check_listener(self, listener6, loopback(AF_INET6, port));
  check_listener(self, dual, loopback(AF_INET, port_of(dual)));
  check_listener(self, dual, loopback(AF_INET6, port_of(dual)));
  tcp_info info = {};
  socklen_t length = sizeof info;
  getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &length);
  self.expect_equal("backlog", 7, info.tcpi_sacked);
  self.expect_equal("listening", 1, get(group2, SOL_SOCKET, SO_ACCEPTCONN));
  self.expect_equal("port of a group", port_of(group1), port_of(group2));
  self.expect(listen(bound_only, 1) == 0, "listen: %s", strerror(errno));
  check_listener(self, bound_only, name_of(bound_only));

  check_datagram(self, udp1, udp2, "UDP");
  check_datagram(self, udp6, udp6, "UDP over IPv6");
  self.expect(send(udp2, "z", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "shutdown of UDP is gone");
  check_group(self, member, "239.7.7.7", MCAST_EXCLUDE, 0);
  check_group(self, member, "239.7.7.8", MCAST_INCLUDE, 1);
  length = 0;
  self.expect(getsockopt(udp2, SOL_SOCKET, SO_GET_FILTER, nullptr, &length) == 0 && length == 1,
              "the filter is gone");
  char interface[16] = {};
  length = sizeof interface;
  getsockopt(device, SOL_SOCKET, SO_BINDTODEVICE, interface, &length);
  self.expect(std::string(interface) == "lo", "device: %s", interface);
  if (raw6 >= 0) self.expect_equal("protocol", IPPROTO_ICMPV6, get(raw6, SOL_SOCKET, SO_PROTOCOL));
  return self.finish();
}
