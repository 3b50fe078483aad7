// Two processes and the socket pairs between them: each holds one end, messages with a descriptor
// wait in both directions.
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/victims/victim.h"

namespace {

bool put(int fd, const char* text, int file = -1) {
  char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part = {const_cast<char*>(text), strlen(text)};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (file >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* out = CMSG_FIRSTHDR(&header);
    *out = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(out), &file, sizeof(file));
  }
  return sendmsg(fd, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(strlen(text));
}

std::string get(int fd, int* file = nullptr) {
  char control[CMSG_SPACE(sizeof(int))], text[64];
  iovec part = {text, sizeof(text)};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const auto got = recvmsg(fd, &header, 0);
  if (got < 0) return "error " + std::to_string(errno);
  const cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (rights != nullptr && file != nullptr) memcpy(file, CMSG_DATA(rights), sizeof(*file));
  return std::string(text, static_cast<size_t>(got));
}

// Reads what waited, writes into the pipe that came with it, and echoes.
int child(int commands, int queue) {
  if (get(commands) != "go") return 1;
  int file = -1;
  if (get(queue, &file) != "one" || get(queue) != "two" || file < 0) return 2;
  if (write(file, "from the child", 14) != 14) return 3;
  ucred creator = {};
  socklen_t length = sizeof(creator);
  if (getsockopt(queue, SOL_SOCKET, SO_PEERCRED, &creator, &length) != 0) return 4;
  if (creator.pid != getppid()) return 5;
  for (;;) {
    const auto text = get(queue);
    if (text == "end") return 0;
    if (!put(queue, text.c_str())) return 6;
  }
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  int commands[2], queue[2], pipe_ends[2];
  self.must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, commands) == 0 &&
                socketpair(AF_UNIX, SOCK_SEQPACKET, 0, queue) == 0 && pipe(pipe_ends) == 0,
            "socketpair");
  const pid_t pid = fork();
  if (pid == 0) {
    close(commands[0]);
    close(queue[0]);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    // What waits for the parent, with an end of a pair only the message holds.
    int alone[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, alone) != 0 || !put(alone[1], "alone") ||
        !put(queue[1], "back", alone[0]))
      _exit(10);
    close(alone[0]);
    close(alone[1]);
    if (!put(commands[1], "ready")) _exit(11);
    _exit(child(commands[1], queue[1]));
  }
  close(commands[1]);
  close(queue[1]);
  self.must(get(commands[0]) == "ready", "the child");
  self.must(put(queue[0], "one", pipe_ends[1]) && put(queue[0], "two"), "messages");
  close(pipe_ends[1]);

  self.ready_and_wait();

  self.expect(put(commands[0], "go"), "command");
  char buffer[32];
  self.expect(read(pipe_ends[0], buffer, sizeof(buffer)) == 14, "what the child wrote");
  int file = -1;
  self.expect(get(queue[0], &file) == "back", "what waited for the parent");
  self.expect(get(file) == "alone", "the end that was in flight");
  self.expect(put(queue[0], "echo") && get(queue[0]) == "echo", "echo");
  self.expect(put(queue[0], "end"), "end");
  int status = 0;
  self.expect(waitpid(pid, &status, 0) == pid, "the child");
  self.expect_equal("status of the child", 0, status);
  return self.finish();
}
