// The table of descriptor kinds.
#include <array>

#include "engine/files/kind.h"
#include "engine/files/kinds/bpf_map.h"
#include "engine/files/kinds/char_device.h"
#include "engine/files/kinds/directory.h"
#include "engine/files/kinds/epoll.h"
#include "engine/files/kinds/eventfd.h"
#include "engine/files/kinds/external.h"
#include "engine/files/kinds/fanotify.h"
#include "engine/files/kinds/fifo.h"
#include "engine/files/kinds/ghost.h"
#include "engine/files/kinds/inet_socket.h"
#include "engine/files/kinds/inotify.h"
#include "engine/files/kinds/job_terminal.h"
#include "engine/files/kinds/memfd.h"
#include "engine/files/kinds/message_queue.h"
#include "engine/files/kinds/opath.h"
#include "engine/files/kinds/pidfd.h"
#include "engine/files/kinds/pipe.h"
#include "engine/files/kinds/pty.h"
#include "engine/files/kinds/regular.h"
#include "engine/files/kinds/signalfd.h"
#include "engine/files/kinds/timerfd.h"
#include "engine/files/kinds/unix_datagram.h"
#include "engine/files/kinds/unix_listener.h"
#include "engine/files/kinds/unix_socket_pair.h"

namespace cryostat::files {

namespace {

const ExternalKind kExternal;
const OPathKind kOPath;
const PidFdKind kPidFd;
const MemFdKind kMemFd;
const GhostKind kGhost;
const RegularKind kRegular;
const DirectoryKind kDirectory;
const PipeKind kPipe;
const FifoKind kFifo;
const CharDeviceKind kCharDevice;
const PtyKind kPty;
const JobTerminalKind kJobTerminal;
const EventFdKind kEventFd;
const TimerFdKind kTimerFd;
const SignalFdKind kSignalFd;
const EpollKind kEpoll;
const UnixSocketPairKind kUnixSocketPair;
const UnixListenerKind kUnixListener;
const UnixDatagramKind kUnixDatagram;
const BpfMapKind kBpfMap;
const MessageQueueKind kMessageQueue;
const InotifyKind kInotify;
const FanotifyKind kFanotify;
const InetSocketKind kInetSocket;

// The first kind that matches takes a description: O_PATH says nothing about the type of the file,
// a memfd is a deleted file too, and a deleted file a regular one.
constexpr std::array<const DescriptorKind*, 24> kKinds = {
    &kExternal,    &kMessageQueue, &kOPath,    &kPidFd,      &kMemFd,        &kGhost,
    &kRegular,     &kDirectory,    &kPipe,     &kFifo,       &kCharDevice,   &kPty,
    &kJobTerminal, &kEventFd,      &kTimerFd,  &kSignalFd,   &kEpoll,        &kUnixSocketPair,
    &kBpfMap,      &kInotify,      &kFanotify, &kInetSocket, &kUnixListener, &kUnixDatagram,
};

}  // namespace

std::span<const DescriptorKind* const> descriptor_kinds() { return kKinds; }

const DescriptorKind* kind_for(const OpenDescription& description) {
  for (const auto* kind : kKinds)
    if (kind->matches(description)) return kind;
  return nullptr;
}

const DescriptorKind* kind_for(const pb::Description& image) {
  for (const auto* kind : kKinds)
    if (kind->owns(image)) return kind;
  return nullptr;
}

}  // namespace cryostat::files
