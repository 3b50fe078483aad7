// Processes that talk over UNIX sockets with names: a server, its listening socket made by one that
// is gone, clients that are connected or wait to be accepted; SO_PEERCRED names the right ones.
#include "tests/victims/unix_sockets.h"

#include <grp.h>
#include <poll.h>
#include <sys/wait.h>

#include <vector>

using namespace victim;

namespace {

constexpr int kClients = 4, kWaiting = 3;

std::string name_of_tree(const char* what) {
  return "@cryostat.tree." + std::to_string(getpid()) + "." + what;
}

// Asks, and checks who answers, when it is told to.
int client(int orders, int fd, pid_t server, const std::string& name) {
  char go = 0;
  if (read(orders, &go, 1) != 1) return 1;
  if (peer_credentials(fd).pid != server) return 2;
  if (peer_name(fd) != name) return 3;
  const ucred me = {getpid(), getuid(), getgid()};
  if (write(fd, &me, sizeof(me)) != sizeof(me)) return 4;
  char answer[16];
  const auto got = read(fd, answer, sizeof(answer));
  if (got != 2 || memcmp(answer, "ok", 2) != 0) return 5;
  return 0;
}

// Takes what a client says of itself and compares it with what the kernel says.
void serve(Victim& self, int fd, const char* what) {
  ucred said = {};
  if (!self.expect(read(fd, &said, sizeof(said)) == sizeof(said), "%s: nothing", what)) return;
  const ucred known = peer_credentials(fd);
  self.expect_equal(what, said.pid, known.pid);
  self.expect_equal("user", said.uid, known.uid);
  self.expect_equal("group", said.gid, known.gid);
  self.expect(write(fd, "ok", 2) == 2, "%s: answer", what);
}

struct Child {
  pid_t pid;
  int orders;
};

// `type` at the listening socket of this name; returns when it is connected. One that is another
// user keeps the root's other rights out of it.
Child start_client(Victim& self, int type, const std::string& name, uid_t user,
                   const std::vector<int>& to_close) {
  int orders[2], ready[2];
  self.must(pipe(orders) == 0 && pipe(ready) == 0, "pipe");
  const pid_t server = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    close(orders[1]);
    close(ready[0]);
    for (const int fd : to_close) close(fd);
    const gid_t groups[] = {user + 1, user + 2};
    if (user != 0 && (setgroups(2, groups) != 0 || setgid(user) != 0 || setuid(user) != 0))
      _exit(9);
    const int fd = client_of(self, type, name);
    if (write(ready[1], "r", 1) != 1) _exit(8);
    close(ready[1]);
    _exit(client(orders[0], fd, server, name));
  }
  close(orders[0]);
  close(ready[1]);
  char word = 0;
  self.must(read(ready[0], &word, 1) == 1, "client");
  close(ready[0]);
  return {pid, orders[1]};
}

void end_client(Victim& self, const Child& child) {
  int status = 0;
  self.expect(waitpid(child.pid, &status, 0) == child.pid, "client %d", child.pid);
  self.expect(status == 0, "client %d: status %#x", child.pid, status);
}

}  // namespace

int main(int argc, char** argv) {
  Victim self(argc, argv);
  const std::string path = self.path("server"), abstract = name_of_tree("server");
  self.must(chmod(argv[1], 0755) == 0, "chmod");
  // Everybody may connect.
  umask(0);
  const int by_path = listen_at(self, SOCK_STREAM, path);
  const int by_name = listen_at(self, SOCK_SEQPACKET, abstract);
  umask(022);

  std::vector<Child> connected, waiting;
  std::vector<int> accepted, open = {by_path, by_name};
  for (int i = 0; i < kClients; ++i) {
    const bool stream = i % 2 == 0;
    const auto child = start_client(self, stream ? SOCK_STREAM : SOCK_SEQPACKET,
                                    stream ? path : abstract, i < 2 ? 0 : 1000, open);
    connected.push_back(child);
    accepted.push_back(accept(stream ? by_path : by_name, nullptr, nullptr));
    open.insert(open.end(), {child.orders, accepted.back()});
  }
  for (int i = 0; i < kWaiting; ++i) {
    waiting.push_back(start_client(self, SOCK_SEQPACKET, abstract, i == 1 ? 1000 : 0, open));
    open.push_back(waiting.back().orders);
  }
  // Made by a child that has ended: its pid is noted.
  const std::string gone_name = name_of_tree("gone");
  int carrier[2];
  self.must(socketpair(AF_UNIX, SOCK_STREAM, 0, carrier) == 0, "socketpair");
  const int of_gone = socket(AF_UNIX, SOCK_STREAM, 0);
  self.must(bind_to(of_gone, gone_name), "bind");
  const pid_t gone = fork();
  if (gone == 0) _exit(listen(of_gone, 3) == 0 ? 0 : 1);
  int status = 0;
  self.must(waitpid(gone, &status, 0) == gone && status == 0, "listen in a child");
  const int of_gone_client = client_of(self, SOCK_STREAM, gone_name);
  const int of_gone_server = accept(of_gone, nullptr, nullptr);

  self.ready_and_wait();

  for (int i = 0; i < kClients; ++i) {
    self.expect(write(connected[i].orders, "g", 1) == 1, "order");
    serve(self, accepted[i], "connected client");
    end_client(self, connected[i]);
  }
  for (int i = 0; i < kWaiting; ++i) {
    self.expect(write(waiting[i].orders, "g", 1) == 1, "order");
    const int fd = accept(by_name, nullptr, nullptr);
    self.expect_equal("order of the backlog", waiting[i].pid, peer_credentials(fd).pid);
    serve(self, fd, "client of the backlog");
    end_client(self, waiting[i]);
  }
  self.expect_equal("listened in a process that is gone", gone, peer_credentials(of_gone).pid);
  self.expect_equal("connected to it", gone, peer_credentials(of_gone_client).pid);
  self.expect_equal("accepted from it", getpid(), peer_credentials(of_gone_server).pid);
  self.expect(put(of_gone_client, "x") && get(of_gone_server) == "x", "connection");
  return self.finish();
}
