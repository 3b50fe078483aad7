#include "engine/net/socket_option_table.h"

#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/netlink.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>

namespace cryostat::net {

namespace {

// Newer than the headers this is built with may be; the numbers are those of include/uapi:
// asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h, linux/netlink.h.
constexpr int kSoPassPidfd = 76, kSoRcvMark = 75, kSoTxRehash = 74, kSoReserveMem = 73,
              kSoBufLock = 72, kSoBusyPollBudget = 70, kSoPreferBusyPoll = 69, kSoPassRights = 83,
              kSoRcvPriority = 82;
constexpr int kIpLocalPortRange = 51;
constexpr int kTcpRtoMaxMs = 44, kTcpRtoMinUs = 45, kTcpDelackMaxUs = 46;
constexpr int kSolRaw = 255, kIcmpFilter = 1, kIcmp6Filter = 1;
constexpr int kUdpliteSendCscov = 10, kUdpliteRecvCscov = 11;

constexpr int kIp = IPPROTO_IP, kIp6 = IPPROTO_IPV6, kTcp = IPPROTO_TCP, kUdp = IPPROTO_UDP;
constexpr uint32_t kInt = sizeof(int);

// Buffer sizes lock themselves, SO_BUF_LOCK says what was locked; IP_TOS sets SO_PRIORITY.
constexpr std::array kRows = {
    SocketOptionRow{SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF", kInt, Setting::kSendBuffer},
    SocketOptionRow{SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF", kInt, Setting::kReceiveBuffer},
    SocketOptionRow{SOL_SOCKET, kSoBufLock, "SO_BUF_LOCK", kInt, Setting::kAlways},
    SocketOptionRow{kIp, IP_TOS, "IP_TOS"},
    SocketOptionRow{SOL_SOCKET, SO_DEBUG, "SO_DEBUG"},
    SocketOptionRow{SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"},
    SocketOptionRow{SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT"},
    SocketOptionRow{SOL_SOCKET, SO_DONTROUTE, "SO_DONTROUTE"},
    SocketOptionRow{SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST"},
    SocketOptionRow{SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE"},
    SocketOptionRow{SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE"},
    SocketOptionRow{SOL_SOCKET, SO_NO_CHECK, "SO_NO_CHECK"},
    SocketOptionRow{SOL_SOCKET, SO_PRIORITY, "SO_PRIORITY"},
    SocketOptionRow{SOL_SOCKET, SO_LINGER, "SO_LINGER", sizeof(struct linger)},
    SocketOptionRow{SOL_SOCKET, SO_PASSCRED, "SO_PASSCRED"},
    SocketOptionRow{SOL_SOCKET, SO_PASSSEC, "SO_PASSSEC"},
    SocketOptionRow{SOL_SOCKET, kSoPassPidfd, "SO_PASSPIDFD"},
    SocketOptionRow{SOL_SOCKET, kSoPassRights, "SO_PASSRIGHTS"},
    SocketOptionRow{SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT"},
    SocketOptionRow{SOL_SOCKET, SO_RCVTIMEO, "SO_RCVTIMEO", sizeof(struct timeval)},
    SocketOptionRow{SOL_SOCKET, SO_SNDTIMEO, "SO_SNDTIMEO", sizeof(struct timeval)},
    SocketOptionRow{SOL_SOCKET, SO_BINDTODEVICE, "SO_BINDTODEVICE", IFNAMSIZ},
    SocketOptionRow{SOL_SOCKET, SO_TIMESTAMP, "SO_TIMESTAMP"},
    SocketOptionRow{SOL_SOCKET, SO_TIMESTAMPNS, "SO_TIMESTAMPNS"},
    SocketOptionRow{SOL_SOCKET, SO_TIMESTAMPING, "SO_TIMESTAMPING"},
    SocketOptionRow{SOL_SOCKET, SO_TIMESTAMP_NEW, "SO_TIMESTAMP_NEW"},
    SocketOptionRow{SOL_SOCKET, SO_TIMESTAMPNS_NEW, "SO_TIMESTAMPNS_NEW"},
    SocketOptionRow{SOL_SOCKET, SO_TIMESTAMPING_NEW, "SO_TIMESTAMPING_NEW"},
    SocketOptionRow{SOL_SOCKET, SO_MARK, "SO_MARK"},
    SocketOptionRow{SOL_SOCKET, SO_RXQ_OVFL, "SO_RXQ_OVFL"},
    SocketOptionRow{SOL_SOCKET, SO_WIFI_STATUS, "SO_WIFI_STATUS"},
    SocketOptionRow{SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF"},
    SocketOptionRow{SOL_SOCKET, SO_NOFCS, "SO_NOFCS"},
    SocketOptionRow{SOL_SOCKET, SO_SELECT_ERR_QUEUE, "SO_SELECT_ERR_QUEUE"},
    SocketOptionRow{SOL_SOCKET, SO_INCOMING_CPU, "SO_INCOMING_CPU", kInt, Setting::kListening},
    SocketOptionRow{SOL_SOCKET, SO_BUSY_POLL, "SO_BUSY_POLL", kInt, Setting::kAlways},
    SocketOptionRow{SOL_SOCKET, kSoPreferBusyPoll, "SO_PREFER_BUSY_POLL"},
    SocketOptionRow{SOL_SOCKET, kSoBusyPollBudget, "SO_BUSY_POLL_BUDGET"},
    SocketOptionRow{SOL_SOCKET, SO_MAX_PACING_RATE, "SO_MAX_PACING_RATE", sizeof(uint64_t)},
    SocketOptionRow{SOL_SOCKET, SO_ZEROCOPY, "SO_ZEROCOPY"},
    SocketOptionRow{SOL_SOCKET, SO_TXTIME, "SO_TXTIME", 8},
    SocketOptionRow{SOL_SOCKET, kSoTxRehash, "SO_TXREHASH", kInt, Setting::kAlways},
    SocketOptionRow{SOL_SOCKET, kSoReserveMem, "SO_RESERVE_MEM"},
    SocketOptionRow{SOL_SOCKET, kSoRcvMark, "SO_RCVMARK"},
    SocketOptionRow{SOL_SOCKET, kSoRcvPriority, "SO_RCVPRIORITY"},

    SocketOptionRow{kIp, IP_TTL, "IP_TTL"},
    SocketOptionRow{kIp, IP_HDRINCL, "IP_HDRINCL"},
    SocketOptionRow{kIp, IP_OPTIONS, "IP_OPTIONS", 40},
    SocketOptionRow{kIp, IP_RECVOPTS, "IP_RECVOPTS"},
    SocketOptionRow{kIp, IP_RETOPTS, "IP_RETOPTS"},
    SocketOptionRow{kIp, IP_PKTINFO, "IP_PKTINFO"},
    SocketOptionRow{kIp, IP_MTU_DISCOVER, "IP_MTU_DISCOVER"},
    SocketOptionRow{kIp, IP_RECVERR, "IP_RECVERR"},
    SocketOptionRow{kIp, IP_RECVERR_RFC4884, "IP_RECVERR_RFC4884"},
    SocketOptionRow{kIp, IP_RECVTTL, "IP_RECVTTL"},
    SocketOptionRow{kIp, IP_RECVTOS, "IP_RECVTOS"},
    SocketOptionRow{kIp, IP_FREEBIND, "IP_FREEBIND"},
    SocketOptionRow{kIp, IP_PASSSEC, "IP_PASSSEC"},
    SocketOptionRow{kIp, IP_TRANSPARENT, "IP_TRANSPARENT"},
    SocketOptionRow{kIp, IP_ORIGDSTADDR, "IP_RECVORIGDSTADDR"},
    SocketOptionRow{kIp, IP_MINTTL, "IP_MINTTL"},
    SocketOptionRow{kIp, IP_NODEFRAG, "IP_NODEFRAG"},
    SocketOptionRow{kIp, IP_CHECKSUM, "IP_CHECKSUM"},
    SocketOptionRow{kIp, IP_BIND_ADDRESS_NO_PORT, "IP_BIND_ADDRESS_NO_PORT"},
    SocketOptionRow{kIp, IP_RECVFRAGSIZE, "IP_RECVFRAGSIZE"},
    SocketOptionRow{kIp, IP_MULTICAST_IF, "IP_MULTICAST_IF"},
    SocketOptionRow{kIp, IP_MULTICAST_TTL, "IP_MULTICAST_TTL"},
    SocketOptionRow{kIp, IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP"},
    SocketOptionRow{kIp, IP_MULTICAST_ALL, "IP_MULTICAST_ALL"},
    SocketOptionRow{kIp, IP_UNICAST_IF, "IP_UNICAST_IF"},
    SocketOptionRow{kIp, kIpLocalPortRange, "IP_LOCAL_PORT_RANGE"},

    SocketOptionRow{kIp6, IPV6_V6ONLY, "IPV6_V6ONLY", kInt, Setting::kAlways},
    SocketOptionRow{kIp6, IPV6_2292PKTINFO, "IPV6_2292PKTINFO"},
    SocketOptionRow{kIp6, IPV6_2292HOPOPTS, "IPV6_2292HOPOPTS"},
    SocketOptionRow{kIp6, IPV6_2292DSTOPTS, "IPV6_2292DSTOPTS"},
    SocketOptionRow{kIp6, IPV6_2292RTHDR, "IPV6_2292RTHDR"},
    SocketOptionRow{kIp6, IPV6_2292HOPLIMIT, "IPV6_2292HOPLIMIT"},
    SocketOptionRow{kIp6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS"},
    SocketOptionRow{kIp6, IPV6_MULTICAST_IF, "IPV6_MULTICAST_IF"},
    SocketOptionRow{kIp6, IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS"},
    SocketOptionRow{kIp6, IPV6_MULTICAST_LOOP, "IPV6_MULTICAST_LOOP"},
    SocketOptionRow{kIp6, IPV6_MULTICAST_ALL, "IPV6_MULTICAST_ALL"},
    SocketOptionRow{kIp6, IPV6_ROUTER_ALERT_ISOLATE, "IPV6_ROUTER_ALERT_ISOLATE"},
    SocketOptionRow{kIp6, IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER"},
    SocketOptionRow{kIp6, IPV6_RECVERR, "IPV6_RECVERR"},
    SocketOptionRow{kIp6, IPV6_RECVERR_RFC4884, "IPV6_RECVERR_RFC4884"},
    SocketOptionRow{kIp6, IPV6_FLOWINFO_SEND, "IPV6_FLOWINFO_SEND"},
    SocketOptionRow{kIp6, IPV6_HDRINCL, "IPV6_HDRINCL"},
    SocketOptionRow{kIp6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO"},
    SocketOptionRow{kIp6, IPV6_RECVHOPLIMIT, "IPV6_RECVHOPLIMIT"},
    SocketOptionRow{kIp6, IPV6_RECVHOPOPTS, "IPV6_RECVHOPOPTS"},
    SocketOptionRow{kIp6, IPV6_RECVRTHDR, "IPV6_RECVRTHDR"},
    SocketOptionRow{kIp6, IPV6_RECVDSTOPTS, "IPV6_RECVDSTOPTS"},
    SocketOptionRow{kIp6, IPV6_RECVPATHMTU, "IPV6_RECVPATHMTU"},
    SocketOptionRow{kIp6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS"},
    SocketOptionRow{kIp6, IPV6_RECVORIGDSTADDR, "IPV6_RECVORIGDSTADDR"},
    SocketOptionRow{kIp6, IPV6_RECVFRAGSIZE, "IPV6_RECVFRAGSIZE"},
    SocketOptionRow{kIp6, IPV6_FLOWINFO, "IPV6_FLOWINFO"},
    SocketOptionRow{kIp6, IPV6_TCLASS, "IPV6_TCLASS"},
    SocketOptionRow{kIp6, IPV6_HOPOPTS, "IPV6_HOPOPTS", kMaxOptionBytes},
    SocketOptionRow{kIp6, IPV6_RTHDRDSTOPTS, "IPV6_RTHDRDSTOPTS", kMaxOptionBytes},
    SocketOptionRow{kIp6, IPV6_RTHDR, "IPV6_RTHDR", kMaxOptionBytes},
    SocketOptionRow{kIp6, IPV6_DSTOPTS, "IPV6_DSTOPTS", kMaxOptionBytes},
    SocketOptionRow{kIp6, IPV6_DONTFRAG, "IPV6_DONTFRAG"},
    SocketOptionRow{kIp6, IPV6_AUTOFLOWLABEL, "IPV6_AUTOFLOWLABEL"},
    SocketOptionRow{kIp6, IPV6_ADDR_PREFERENCES, "IPV6_ADDR_PREFERENCES"},
    SocketOptionRow{kIp6, IPV6_MINHOPCOUNT, "IPV6_MINHOPCOUNT"},
    SocketOptionRow{kIp6, IPV6_TRANSPARENT, "IPV6_TRANSPARENT"},
    SocketOptionRow{kIp6, IPV6_FREEBIND, "IPV6_FREEBIND"},
    SocketOptionRow{kIp6, IPV6_UNICAST_IF, "IPV6_UNICAST_IF"},
    SocketOptionRow{kIp6, IPV6_CHECKSUM, "IPV6_CHECKSUM"},

    // TCP_MAXSEG of a connection is no option but what was agreed on.
    SocketOptionRow{kTcp, TCP_MAXSEG, "TCP_MAXSEG", kInt, Setting::kListening},
    SocketOptionRow{kTcp, TCP_CONGESTION, "TCP_CONGESTION", 16, Setting::kAlways},
    SocketOptionRow{kTcp, TCP_NODELAY, "TCP_NODELAY"},
    SocketOptionRow{kTcp, TCP_CORK, "TCP_CORK"},
    SocketOptionRow{kTcp, TCP_KEEPIDLE, "TCP_KEEPIDLE"},
    SocketOptionRow{kTcp, TCP_KEEPINTVL, "TCP_KEEPINTVL"},
    SocketOptionRow{kTcp, TCP_KEEPCNT, "TCP_KEEPCNT"},
    SocketOptionRow{kTcp, TCP_SYNCNT, "TCP_SYNCNT"},
    SocketOptionRow{kTcp, TCP_LINGER2, "TCP_LINGER2"},
    SocketOptionRow{kTcp, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT"},
    SocketOptionRow{kTcp, TCP_WINDOW_CLAMP, "TCP_WINDOW_CLAMP", kInt, Setting::kListening},
    SocketOptionRow{kTcp, TCP_QUICKACK, "TCP_QUICKACK"},
    SocketOptionRow{kTcp, TCP_THIN_LINEAR_TIMEOUTS, "TCP_THIN_LINEAR_TIMEOUTS"},
    SocketOptionRow{kTcp, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT"},
    SocketOptionRow{kTcp, TCP_FASTOPEN, "TCP_FASTOPEN"},
    SocketOptionRow{kTcp, TCP_FASTOPEN_KEY, "TCP_FASTOPEN_KEY", 32},
    SocketOptionRow{kTcp, TCP_FASTOPEN_CONNECT, "TCP_FASTOPEN_CONNECT"},
    SocketOptionRow{kTcp, TCP_FASTOPEN_NO_COOKIE, "TCP_FASTOPEN_NO_COOKIE"},
    SocketOptionRow{kTcp, TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT"},
    SocketOptionRow{kTcp, TCP_SAVE_SYN, "TCP_SAVE_SYN"},
    SocketOptionRow{kTcp, TCP_INQ, "TCP_INQ"},
    SocketOptionRow{kTcp, TCP_TX_DELAY, "TCP_TX_DELAY"},
    SocketOptionRow{kTcp, kTcpRtoMaxMs, "TCP_RTO_MAX_MS"},
    SocketOptionRow{kTcp, kTcpRtoMinUs, "TCP_RTO_MIN_US"},
    SocketOptionRow{kTcp, kTcpDelackMaxUs, "TCP_DELACK_MAX_US"},

    SocketOptionRow{kUdp, UDP_ENCAP, "UDP_ENCAP"},
    SocketOptionRow{kUdp, UDP_NO_CHECK6_TX, "UDP_NO_CHECK6_TX"},
    SocketOptionRow{kUdp, UDP_NO_CHECK6_RX, "UDP_NO_CHECK6_RX"},
    SocketOptionRow{kUdp, UDP_SEGMENT, "UDP_SEGMENT"},
    SocketOptionRow{kUdp, UDP_GRO, "UDP_GRO"},
    SocketOptionRow{IPPROTO_UDPLITE, kUdpliteSendCscov, "UDPLITE_SEND_CSCOV"},
    SocketOptionRow{IPPROTO_UDPLITE, kUdpliteRecvCscov, "UDPLITE_RECV_CSCOV"},
    SocketOptionRow{kSolRaw, kIcmpFilter, "ICMP_FILTER"},
    SocketOptionRow{IPPROTO_ICMPV6, kIcmp6Filter, "ICMPV6_FILTER", 32},

    SocketOptionRow{SOL_NETLINK, NETLINK_PKTINFO, "NETLINK_PKTINFO"},
    SocketOptionRow{SOL_NETLINK, NETLINK_BROADCAST_ERROR, "NETLINK_BROADCAST_ERROR"},
    SocketOptionRow{SOL_NETLINK, NETLINK_NO_ENOBUFS, "NETLINK_NO_ENOBUFS"},
    SocketOptionRow{SOL_NETLINK, NETLINK_CAP_ACK, "NETLINK_CAP_ACK"},
    SocketOptionRow{SOL_NETLINK, NETLINK_EXT_ACK, "NETLINK_EXT_ACK"},
    SocketOptionRow{SOL_NETLINK, NETLINK_GET_STRICT_CHK, "NETLINK_GET_STRICT_CHK"},

    SocketOptionRow{SOL_PACKET, PACKET_AUXDATA, "PACKET_AUXDATA"},
    SocketOptionRow{SOL_PACKET, PACKET_ORIGDEV, "PACKET_ORIGDEV"},
    SocketOptionRow{SOL_PACKET, PACKET_VNET_HDR, "PACKET_VNET_HDR"},
    SocketOptionRow{SOL_PACKET, PACKET_LOSS, "PACKET_LOSS"},
    SocketOptionRow{SOL_PACKET, PACKET_TIMESTAMP, "PACKET_TIMESTAMP"},
    SocketOptionRow{SOL_PACKET, PACKET_QDISC_BYPASS, "PACKET_QDISC_BYPASS"},
    SocketOptionRow{SOL_PACKET, PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING"},

    // Last: nothing about the filter can be changed afterwards.
    SocketOptionRow{SOL_SOCKET, SO_LOCK_FILTER, "SO_LOCK_FILTER"},
};

int ask(int socket, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(socket, SOL_SOCKET, name, &value, &length) == 0 ? value : 0;
}

}  // namespace

SocketSort sort_of(int socket) {
  return {ask(socket, SO_DOMAIN), ask(socket, SO_TYPE), ask(socket, SO_PROTOCOL)};
}

std::span<const SocketOptionRow> socket_option_rows() { return kRows; }

const SocketOptionRow* find_socket_option(int level, int name) {
  const auto found = std::find_if(kRows.begin(), kRows.end(), [&](const auto& row) {
    return row.level == level && row.name == name;
  });
  return found == kRows.end() ? nullptr : &*found;
}

bool can_have(const SocketSort& sort, const SocketOptionRow& row) {
  const bool inet = sort.domain == AF_INET || sort.domain == AF_INET6;
  switch (row.level) {
    case SOL_SOCKET:
      return true;
    case IPPROTO_IP:
      return inet;
    case IPPROTO_IPV6:
      return sort.domain == AF_INET6;
    case IPPROTO_UDP:
      return inet && (sort.protocol == IPPROTO_UDP || sort.protocol == IPPROTO_UDPLITE);
    case kSolRaw:
    case IPPROTO_ICMPV6:
      return inet && sort.type == SOCK_RAW;
    case SOL_NETLINK:
      return sort.domain == AF_NETLINK;
    case SOL_PACKET:
      return sort.domain == AF_PACKET;
    default:  // of the transport itself
      return inet && sort.protocol == row.level;
  }
}

}  // namespace cryostat::net
