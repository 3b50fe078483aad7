// A tree: children with pipes between them, a file position and copy-on-write memory in common, a
// session and a process group of their own, groups and sessions whose leader has ended, an adopted
// orphan, a zombie, a stopped child.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <vector>

#include "tests/victims/victim.h"

namespace {

// What every member knows of itself and can be asked for.
struct Report {
  pid_t pid, parent, session, group;
  int memory_intact;
  int file_position;
};

constexpr size_t kMemoryBytes = 1 << 20;
unsigned char* g_memory;  // filled by the root, inherited by all
int g_file;               // a description all have

Report report_now() {
  return {getpid(),
          getppid(),
          getsid(0),
          getpgrp(),
          victim::Pattern::matches(g_memory + 4096, kMemoryBytes - 4096, 42) ? 1 : 0,
          static_cast<int>(lseek(g_file, 0, SEEK_CUR))};
}

// A child that answers one byte on its request pipe with its report.
struct Member {
  pid_t pid = 0;
  int request = -1, answer = -1;
  Report before{};

  Report ask() const {
    Report report{};
    if (write(request, "?", 1) != 1 || read(answer, &report, sizeof(report)) != sizeof(report))
      report.pid = -1;
    return report;
  }
};

[[noreturn]] void serve(int request, int answer, unsigned char own_byte) {
  g_memory[0] = own_byte;  // its own copy of the first page
  for (char byte; read(request, &byte, 1) == 1;) {
    Report report = report_now();
    if (g_memory[0] != own_byte) report.memory_intact = 0;
    if (write(answer, &report, sizeof(report)) != sizeof(report)) break;
  }
  _exit(0);
}

// `set_up` runs in the child; it may fork on and let its own child serve.
template <typename SetUp>
Member start(SetUp set_up) {
  int request[2], answer[2];
  if (pipe(request) != 0 || pipe(answer) != 0) _exit(2);
  static unsigned char number = 1;
  ++number;
  const pid_t pid = fork();
  if (pid == 0) {
    close(request[1]);
    close(answer[0]);
    set_up();
    serve(request[0], answer[1], number);
  }
  close(request[0]);
  close(answer[1]);
  Member member;
  member.request = request[1];
  member.answer = answer[0];
  member.before = member.ask();
  member.pid = member.before.pid;
  return member;
}

// The caller goes on in a child whose parent has ended.
void orphan() {
  const pid_t parent = getpid();
  if (fork() != 0) _exit(0);
  while (getppid() == parent) victim::Victim::pause_ms(1);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  g_memory = static_cast<unsigned char*>(
      mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  victim::Pattern::fill(g_memory + 4096, kMemoryBytes - 4096, 42);
  g_file = open(self.path("file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  self.must(g_file >= 0 && ftruncate(g_file, 1000) == 0, "file");

  std::vector<Member> members;
  members.push_back(start([] {}));
  members.push_back(start([] { setpgid(0, 0); }));
  members.push_back(start([] { setsid(); }));
  members.push_back(start([] {  // a daemon: its session leader has ended
    setsid();
    orphan();
  }));
  members.push_back(start([] {  // a group whose leader has ended
    setpgid(0, 0);
    orphan();
  }));
  members.push_back(start([] {  // a grandchild of a session leader that lives
    setsid();
    if (fork() != 0) {
      while (waitpid(-1, nullptr, 0) < 0 && errno == EINTR) {
      }
      _exit(0);
    }
  }));
  // The intermediate parents of the orphans.
  for (int status; waitpid(-1, &status, WNOHANG) > 0;) {
  }
  const pid_t zombie = fork();
  if (zombie == 0) _exit(77);
  const pid_t killed = fork();
  if (killed == 0) {
    raise(SIGTERM);
    _exit(1);
  }
  siginfo_t info;
  self.must(waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT) == 0, "zombie");
  self.must(waitid(P_PID, static_cast<id_t>(killed), &info, WEXITED | WNOWAIT) == 0, "zombie");
  const pid_t stopped = fork();
  if (stopped == 0) {
    raise(SIGSTOP);
    _exit(78);
  }
  int status = 0;
  self.must(waitpid(stopped, &status, WUNTRACED) == stopped && WIFSTOPPED(status), "stopped child");
  lseek(g_file, 123, SEEK_SET);
  for (Member& member : members) member.before = member.ask();

  self.ready_and_wait();

  lseek(g_file, 321, SEEK_SET);
  for (const Member& member : members) {
    const Report now = member.ask();
    self.expect_equal("pid", member.before.pid, now.pid);
    self.expect_equal("parent", member.before.parent, now.parent);
    self.expect_equal("session", member.before.session, now.session);
    self.expect_equal("group", member.before.group, now.group);
    self.expect_equal("memory", 1, now.memory_intact);
    self.expect_equal("shared position", 321, now.file_position);
  }
  self.expect(
      waitpid(zombie, &status, WNOHANG) == zombie && WIFEXITED(status) && WEXITSTATUS(status) == 77,
      "status of the zombie: %#x", status);
  self.expect(waitpid(killed, &status, WNOHANG) == killed && WIFSIGNALED(status) &&
                  WTERMSIG(status) == SIGTERM,
              "status of the killed zombie: %#x", status);
  kill(stopped, SIGCONT);
  while (waitpid(stopped, &status, 0) < 0 && errno == EINTR) {
  }
  self.expect(WIFEXITED(status) && WEXITSTATUS(status) == 78, "stopped child: %#x", status);
  for (const Member& member : members) {
    kill(member.pid, SIGKILL);
    waitpid(member.pid, nullptr, 0);
  }
  // The parent of the grandchild ends by itself.
  while (waitpid(-1, nullptr, 0) > 0) {
  }
  return self.finish();
}
