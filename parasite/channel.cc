#include "parasite/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <cstdint>

#include "engine/kernel/raw_syscall.h"

namespace cryostat::parasite {
namespace {

template <typename T>
uint64_t address_of(T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

void close_number(int32_t& fd) {
  if (fd >= 0) raw_syscall(SYS_close, static_cast<uint64_t>(fd));
  fd = -1;
}

}  // namespace

int open_channel(wire::ParasiteHeader* header) {
  return static_cast<int>(raw_syscall(SYS_socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
                                      address_of(header->channel)));
}

int receive_fd(wire::ParasiteHeader* header) {
  int32_t* slot = nullptr;
  for (int32_t& fd : header->received) {
    if (fd < 0) slot = &fd;
  }
  if (slot == nullptr) return -ENOSPC;
  char byte;
  iovec data{&byte, 1};
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const long got = raw_syscall(SYS_recvmsg, static_cast<uint64_t>(header->channel[0]),
                               address_of(&message), MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (is_syscall_error(got)) return static_cast<int>(got);
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  // Without room in the descriptor table the kernel leaves the descriptor out and sets MSG_CTRUNC.
  if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS) return -EMFILE;
  __builtin_memcpy(slot, CMSG_DATA(rights), sizeof(*slot));
  header->result_fd = *slot;
  return 0;
}

int close_received_fd(wire::ParasiteHeader* header) {
  for (int32_t& fd : header->received) {
    if (fd < 0 || fd != header->result_fd) continue;
    close_number(fd);
    return 0;
  }
  return -EBADF;
}

void close_everything(wire::ParasiteHeader* header) {
  for (int32_t& fd : header->channel) close_number(fd);
  for (int32_t& fd : header->received) close_number(fd);
}

}  // namespace cryostat::parasite
