// UNIX sockets with names, in one process: listening by path, abstract name and from a directory
// that was left since; deleted names; connections and what waits in them; backlogs; datagrams of
// several senders.
#include "tests/victims/unix_sockets.h"

#include <poll.h>
#include <sys/wait.h>

using namespace victim;

namespace {

std::string abstract_name(const char* what) {
  return "@cryostat." + std::to_string(getpid()) + "." + what;
}

bool can_connect(int type, const std::string& name, int listener) {
  const int client = socket(AF_UNIX, type, 0);
  bool done = connect_to(client, name);
  const int accepted = done ? accept(listener, nullptr, nullptr) : -1;
  done = done && accepted >= 0 && put(client, "ping") && get(accepted) == "ping";
  close(client);
  if (accepted >= 0) close(accepted);
  return done;
}

struct stat stat_of(const std::string& path) {
  struct stat st = {};
  stat(path.c_str(), &st);
  return st;
}

// Listening sockets.
struct Listeners {
  std::string path, abstract, relative, folder, gone;
  int at_path, at_abstract, at_relative, at_gone, never;
  struct stat before = {};

  explicit Listeners(Victim& self) {
    path = self.path("listener");
    abstract = abstract_name("listener");
    at_path = listen_at(self, SOCK_STREAM, path, 17);
    self.must(chmod(path.c_str(), 0640) == 0 && chown(path.c_str(), 12, 34) == 0, "chmod");
    at_abstract = listen_at(self, SOCK_SEQPACKET, abstract);
    folder = self.path("folder");
    self.must(mkdir(folder.c_str(), 0755) == 0 && chdir(folder.c_str()) == 0, "mkdir");
    at_relative = listen_at(self, SOCK_STREAM, "./here");
    gone = self.path("gone");
    at_gone = listen_at(self, SOCK_STREAM, gone);
    self.must(unlink(gone.c_str()) == 0 && chdir("/") == 0, "unlink");
    never = socket(AF_UNIX, SOCK_STREAM, 0);
    self.must(bind_to(never, self.path("never")), "bind");
    before = stat_of(path);
  }

  void check(Victim& self) {
    self.expect(own_name(at_path) == path, "name %s", own_name(at_path).c_str());
    self.expect(own_name(at_abstract) == abstract, "name %s", own_name(at_abstract).c_str());
    self.expect(own_name(at_relative) == "./here", "name %s", own_name(at_relative).c_str());
    self.expect(own_name(at_gone) == gone, "name %s", own_name(at_gone).c_str());
    self.expect(can_connect(SOCK_STREAM, path, at_path), "connect by path");
    self.expect(can_connect(SOCK_SEQPACKET, abstract, at_abstract), "connect by abstract name");
    self.expect(can_connect(SOCK_STREAM, folder + "/here", at_relative),
                "connect where it was bound");
    self.expect(access(gone.c_str(), F_OK) != 0, "a deleted name is back");
    self.expect(int_option(at_path, SO_ACCEPTCONN) == 1, "it listens");
    self.expect(int_option(never, SO_ACCEPTCONN) == 0 && listen(never, 1) == 0, "listen later");
    self.expect(can_connect(SOCK_STREAM, self.path("never"), never), "connect to it then");
    const struct stat now = stat_of(path);
    self.expect_equal("mode", before.st_mode, now.st_mode);
    self.expect_equal("owner", before.st_uid, now.st_uid);
    self.expect_equal("group", before.st_gid, now.st_gid);
    self.expect_equal("time", before.st_mtim.tv_nsec, now.st_mtim.tv_nsec);
    self.expect_equal("SO_PEERCRED of a listening socket", getpid(), peer_credentials(at_path).pid);
    // The backlog: 17 wait, and one more than that.
    int waiting = 0;
    for (; waiting < 40; ++waiting) {
      const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
      if (!connect_to(client, path)) break;
    }
    self.expect_equal("backlog", 18, waiting);
  }
};

// Connections, in all states.
struct Connections {
  std::string path, abstract;
  int server[5], client[5], named_client, named_server, alone, packets, packets_server;

  explicit Connections(Victim& self) {
    path = self.path("server");
    abstract = abstract_name("server");
    const int listener = listen_at(self, SOCK_STREAM, path);
    for (int i = 0; i < 5; ++i) {
      client[i] = client_of(self, SOCK_STREAM, path);
      server[i] = accept(listener, nullptr, nullptr);
      self.must(
          server[i] >= 0 && put(client[i], "to the server") && put(server[i], "to the client"),
          "connection");
    }
    self.must(shutdown(client[1], SHUT_WR) == 0 && close(client[2]) == 0 && close(server[3]) == 0,
              "shut down");
    named_client = socket(AF_UNIX, SOCK_STREAM, 0);
    self.must(bind_to(named_client, self.path("client")) && connect_to(named_client, path), "bind");
    named_server = accept(listener, nullptr, nullptr);
    // The listening socket of this one is gone, its file is not.
    close(listener);
    const int other = listen_at(self, SOCK_SEQPACKET, abstract);
    packets = client_of(self, SOCK_SEQPACKET, abstract);
    packets_server = accept(other, nullptr, nullptr);
    self.must(put(packets, "one") && put(packets, "two"), "packets");
    close(other);
    // Another one has the name since.
    alone = listen_at(self, SOCK_SEQPACKET, abstract);
  }

  void check(Victim& self) {
    for (int i : {0, 1, 2, 4}) {
      self.expect(own_name(server[i]) == path, "accepted name %s", own_name(server[i]).c_str());
      self.expect(get(server[i]) == "to the server", "what waits in server %d", i);
    }
    for (int i : {0, 1, 3, 4}) {
      self.expect(own_name(client[i]).empty(), "client name");
      self.expect(peer_name(client[i]) == path, "peer of client %d: %s", i,
                  peer_name(client[i]).c_str());
      self.expect(get(client[i]) == "to the client", "what waits in client %d", i);
      self.expect_equal("SO_PEERCRED", getpid(), peer_credentials(client[i]).pid);
    }
    self.expect(put(client[4], "more") && get(server[4]) == "more", "more");
    self.expect(get(server[1]).empty() && put(server[1], "back") && get(client[1]) == "back",
                "half closed");
    self.expect(get(server[2]) == "error " + std::to_string(ECONNRESET), "closed before it read");
    self.expect(get(client[3]) == "error " + std::to_string(ECONNRESET), "reset");
    self.expect(own_name(named_client) == self.path("client"), "named client");
    self.expect(peer_name(named_server) == self.path("client"), "name of the other end");
    self.expect(access(self.path("client").c_str(), F_OK) == 0, "file of the client");
    self.expect(put(named_server, "x") && get(named_client) == "x", "to the named client");
    self.expect(get(packets_server) == "one" && get(packets_server) == "two", "packets");
    self.expect(peer_name(packets) == abstract, "peer of packets");
    self.expect(can_connect(SOCK_SEQPACKET, abstract, alone), "another one of the same name");
  }
};

// Connections that wait to be accepted.
struct Backlog {
  int listener, waiting[4];

  explicit Backlog(Victim& self) {
    listener = listen_at(self, SOCK_STREAM, abstract_name("backlog"));
    for (int& fd : waiting) fd = socket(AF_UNIX, SOCK_STREAM, 0);
    // Not in the order of their numbers.
    for (int i : {2, 0, 3, 1}) {
      self.must(bind_to(waiting[i], abstract_name("waits") + std::to_string(i)) &&
                    connect_to(waiting[i], abstract_name("backlog")),
                "connect");
    }
    shutdown(waiting[3], SHUT_WR);
  }

  void check(Victim& self) {
    self.expect(put(waiting[0], "hello"), "send to the backlog");
    for (int i : {2, 0, 3, 1}) {
      const int accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
      const auto name = abstract_name("waits") + std::to_string(i);
      self.expect(peer_name(accepted) == name, "order: %s", peer_name(accepted).c_str());
      self.expect_equal("SO_PEERCRED of an accepted one", getpid(), peer_credentials(accepted).pid);
      const auto text = get(accepted);
      self.expect(text == (i == 0   ? "hello"
                           : i == 3 ? ""
                                    : "error " + std::to_string(EAGAIN)),
                  "what came from %d: %s", i, text.c_str());
      self.expect(put(accepted, "answer") && get(waiting[i]) == "answer", "answer");
    }
    self.expect(fcntl(listener, F_SETFL, O_NONBLOCK) == 0 &&
                    accept(listener, nullptr, nullptr) < 0 && errno == EAGAIN,
                "no more");
  }
};

// Datagrams.
struct Datagrams {
  std::string server_name, path;
  int server, by_path, connected[3], named, orphan, chain[2], full, pair[2];

  explicit Datagrams(Victim& self) {
    server_name = abstract_name("datagrams");
    path = self.path("datagrams");
    server = socket(AF_UNIX, SOCK_DGRAM, 0);
    by_path = socket(AF_UNIX, SOCK_DGRAM, 0);
    named = socket(AF_UNIX, SOCK_DGRAM, 0);
    orphan = socket(AF_UNIX, SOCK_DGRAM, 0);
    full = socket(AF_UNIX, SOCK_DGRAM, 0);
    self.must(bind_to(server, server_name) && bind_to(by_path, path) &&
                  bind_to(named, self.path("sender")) && bind_to(full, abstract_name("full")),
              "bind");
    for (int& fd : connected) {
      fd = socket(AF_UNIX, SOCK_DGRAM, 0);
      self.must(connect_to(fd, server_name), "connect");
    }
    self.must(put(connected[2], "") && put(connected[0], "0") &&
                  put_to(named, server_name, "named") && put(connected[1], "1"),
              "send");
    // Two whose senders are closed: one by path, one by abstract name.
    for (const auto& name : {self.path("closed"), abstract_name("closed")}) {
      const int sender = socket(AF_UNIX, SOCK_DGRAM, 0);
      self.must(bind_to(sender, name) && put_to(sender, path, "from " + name), "send");
      close(sender);
    }
    // Connected to one that is closed since.
    const int closed = socket(AF_UNIX, SOCK_DGRAM, 0);
    self.must(bind_to(closed, self.path("once")) && connect_to(orphan, self.path("once")),
              "connect");
    close(closed);
    // Connected to one that is connected itself.
    for (int& fd : chain) fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    self.must(bind_to(chain[0], self.path("chain")) && connect_to(chain[1], self.path("chain")) &&
                  put(chain[1], "first") && connect_to(chain[0], server_name),
              "chain");
    // A pair of which one end has a name, and more waits than a sender could send otherwise.
    self.must(
        socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && bind_to(pair[0], abstract_name("pair")),
        "pair");
    for (int i = 0; i < 30; ++i) self.must(put(pair[1], "pair " + std::to_string(i)), "pair");
    shutdown(full, SHUT_RD);
  }

  void check(Victim& self) {
    const auto expect = [&](int fd, const std::string& text) {
      const auto got = get(fd, true);
      self.expect(got == text, "%s, was %s", got.c_str(), text.c_str());
    };
    expect(server, " from ");
    expect(server, "0 from ");
    expect(server, "named from " + self.path("sender"));
    expect(server, "1 from ");
    expect(by_path, "from " + self.path("closed") + " from " + self.path("closed"));
    expect(by_path, "from " + abstract_name("closed") + " from " + abstract_name("closed"));
    self.expect(put(connected[1], "again") && get(server) == "again", "connected");
    self.expect(put_to(named, path, "by path") && get(by_path) == "by path", "by path");
    self.expect(!put(orphan, "x") && errno == ECONNREFUSED, "closed peer: %d", errno);
    self.expect(peer_name(orphan) == "none" || peer_name(orphan) == self.path("once"), "orphan");
    expect(chain[0], "first from ");
    self.expect(put(chain[0], "up"), "chain");
    expect(server, "up from " + self.path("chain"));
    self.expect(!put(chain[1], "x") && errno == EPERM, "peer that is connected elsewhere: %d",
                errno);
    for (int i = 0; i < 30; ++i) expect(pair[0], "pair " + std::to_string(i) + " from ");
    self.expect(put(pair[0], "back"), "pair");
    expect(pair[1], "back from " + abstract_name("pair"));
    self.expect(!put_to(connected[0], abstract_name("full"), "x") && errno == EPIPE,
                "shut down: %d", errno);
  }
};

}  // namespace

int main(int argc, char** argv) {
  Victim self(argc, argv);
  // Relative to the working directory otherwise, which changes.
  if (argv[1][0] != '/') return 2;
  Listeners listeners(self);
  Connections connections(self);
  Backlog backlog(self);
  Datagrams datagrams(self);

  self.ready_and_wait();

  listeners.check(self);
  connections.check(self);
  backlog.check(self);
  datagrams.check(self);
  return self.finish();
}
