#include "tests/generators/random_tree/member.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "tests/generators/random_tree/descriptors.h"
#include "tests/generators/random_tree/objects.h"

namespace random_tree {
namespace {

// Numbers that the root opens for the mailboxes: pairs of sockets that everybody inherits.
constexpr int kFirstMailbox = 3;
constexpr int kMailboxes = 3;

void reap() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

[[noreturn]] void end(Random& random) {
  if (random.chance(30)) kill(getpid(), SIGKILL);
  _exit(static_cast<int>(random.below(200)));
}

}  // namespace

Member::Member(std::string folder, Board& board, const History& history)
    : folder_(std::move(folder)), board_(board), history_(history) {
  board_.set_pid(0, getpid());
  Random random(1);
  change_signal_action(random);
  for (int i = 0; i < kMailboxes; ++i) {
    int ends[2];
    if (socketpair(AF_UNIX, i == 0 ? SOCK_DGRAM : SOCK_SEQPACKET, 0, ends) != 0) _exit(2);
    if (ends[0] != kFirstMailbox + 2 * i) _exit(3);
  }
}

void Member::serve() {
  for (;;) {
    uint64_t argument = 0;
    const Request request = board_.wait_turn(number_, waiting_, argument);
    handle(request, argument);
    board_.answer(number_);
  }
}

void Member::handle(Request request, uint64_t argument) {
  switch (request) {
    case Request::kStep:
      return take(history_.steps[argument]);
    case Request::kLook:
      return look();
    case Request::kPoke:
      poke_descriptors();
      return areas_.poke(number_);
    case Request::kDrain:
      return drain();
  }
}

void Member::take(const Step& step) {
  Random random(step.seed);
  take_process_step(step, random);
  take_object_step(step, random);
}

// Steps that the kernel refuses leave everything as it is: that is part of the history.
void Member::take_process_step(const Step& step, Random& random) {
  switch (step.action) {
    case Action::kFork:
    case Action::kForkOrphan:
      return give_birth(step, random);
    case Action::kEnd:
      end(random);
    case Action::kReap:
      return reap();
    case Action::kNewSession:
      setsid();
      return;
    case Action::kNewGroup:
      setpgid(0, 0);
      return;
    case Action::kJoinGroup:
      setpgid(0, getpgid(board_.pid(step.other)));
      return;
    case Action::kSubreaper:
      prctl(PR_SET_CHILD_SUBREAPER, 1);
      return;
    case Action::kThread:
      return threads_.add(random);
    case Action::kSignalAction:
      return change_signal_action(random);
    case Action::kBlockSignals:
      return block_signals(random);
    case Action::kSendSignal:
      return send_signal(random, board_.pid(step.other));
    case Action::kTimer:
      return timers_.add(random);
    case Action::kAttribute:
      return change_attribute(random);
    case Action::kCredentials:
      return change_credentials(random);
    default:
      return;
  }
}

void Member::take_object_step(const Step& step, Random& random) {
  const std::vector<int> numbers = open_numbers();
  switch (step.action) {
    case Action::kOpen:
      open_object(random, {folder_, &board_, history_.members, numbers});
      return;
    case Action::kDuplicate:
      if (!numbers.empty()) {
        const int number = random.pick(numbers);
        fcntl(number, random.chance(30) ? F_DUPFD_CLOEXEC : F_DUPFD,
              static_cast<int>(3 + random.below(300)));
        if (random.chance(20)) fcntl(number, F_SETOWN, getpid());
      }
      return;
    case Action::kClose:
      if (!numbers.empty()) close(random.pick(numbers));
      return;
    case Action::kSend:
      return send_descriptor(random);
    case Action::kReceive:
      return receive_descriptor(random);
    case Action::kMap:
      return areas_.map(random, folder_);
    case Action::kChangeMemory:
      return areas_.change(random);
    case Action::kProtectMemory:
      return areas_.protect(random);
    default:
      return;
  }
}

void Member::become(uint32_t member, Random& random) {
  number_ = member;
  waiting_ = static_cast<Waiting>(random.below(static_cast<uint64_t>(Waiting::kCount)));
  timers_.forget();
  threads_.forget();
}

void Member::give_birth(const Step& step, Random& random) {
  const bool orphan = step.action == Action::kForkOrphan;
  const uint64_t between = random.below(3);  // what the process between the two becomes
  const pid_t child = fork();
  if (child == 0) {
    if (orphan) {
      if (between == 1) setsid();
      if (between == 2) setpgid(0, 0);
      const pid_t parent = getpid();
      if (fork() != 0) _exit(static_cast<int>(random.below(100)));
      while (getppid() == parent) usleep(100);
    }
    become(step.other, random);
    board_.set_pid(number_, getpid());
    serve();
  }
  if (child < 0 || !board_.wait_pid(step.other)) _exit(4);
  siginfo_t info;
  if (orphan)
    waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | (random.chance(20) ? WNOWAIT : 0));
}

void Member::send_descriptor(Random& random) {
  const std::vector<int> numbers = open_numbers();
  if (numbers.empty()) return;
  const int mailbox = kFirstMailbox + static_cast<int>(random.below(2 * kMailboxes));
  const int sent = random.pick(numbers);
  char control[CMSG_SPACE(sizeof(int))] = {};
  char text[] = "a descriptor";
  iovec part{text, sizeof(text)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  *rights = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(rights), &sent, sizeof(sent));
  sendmsg(mailbox, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Member::receive_descriptor(Random& random) {
  const int mailbox = kFirstMailbox + static_cast<int>(random.below(2 * kMailboxes));
  char control[CMSG_SPACE(sizeof(int))], text[64];
  iovec part{text, sizeof(text)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  recvmsg(mailbox, &message, MSG_DONTWAIT);
}

void Member::look() {
  Report report("member " + std::to_string(number_) + " ");
  look_at_attributes(number_ == 0 ? 0 : getppid(), report);
  look_at_signals(report);
  timers_.look(report);
  threads_.look(report);
  areas_.look(report);
  look_at_descriptors(report);
  write_down(report.text());
}

void Member::drain() {
  Report report("member " + std::to_string(number_) + " ");
  drain_signals(report);
  drain_descriptors(report);
  siginfo_t info{};
  std::vector<std::string> children;
  while (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG) == 0 && info.si_pid != 0) {
    children.push_back(std::to_string(info.si_pid) + " code " + std::to_string(info.si_code) +
                       " status " + std::to_string(info.si_status));
    info = {};
  }
  // The order in which they are told is that of their adoption.
  std::sort(children.begin(), children.end());
  for (const std::string& child : children) report.line("child %s", child.c_str());
  write_down(report.text());
}

void Member::write_down(const std::string& text) const {
  const int fd = open((folder_ + "/report").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(5);
  close(fd);
}

}  // namespace random_tree
