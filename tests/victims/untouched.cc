// What a copy of the memory must not leave behind in a process that goes on: no child, no signal,
// no resource use of children, no descriptor held, no change of attributes. Started with "children"
// it has a child of its own meanwhile.
#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>
#include <vector>

#include "tests/victims/victim.h"

namespace {

std::atomic<int> child_signals{0};

std::string read_text(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  char text[4096];
  const ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text));
  if (fd >= 0) close(fd);
  return std::string(text, got > 0 ? static_cast<size_t>(got) : 0);
}

int open_descriptors() {
  DIR* folder = opendir("/proc/self/fd");
  int count = 0;
  while (folder != nullptr && readdir(folder) != nullptr) ++count;
  if (folder != nullptr) closedir(folder);
  return count;
}

std::string namespace_for_children() {
  char text[128] = {};
  const ssize_t got = readlink("/proc/self/ns/pid_for_children", text, sizeof(text));
  return std::string(text, got > 0 ? static_cast<size_t>(got) : 0);
}

// A pipe nobody else has an end of: its reader sees the end at once.
void check_pipe(victim::Victim& self, int (&pipe_fds)[2]) {
  close(pipe_fds[1]);
  fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
  char byte;
  self.expect(read(pipe_fds[0], &byte, 1) == 0, "somebody else holds the end of a pipe");
  close(pipe_fds[0]);
  self.must(pipe2(pipe_fds, O_CLOEXEC) == 0, "pipe");
}

void check_no_child(victim::Victim& self) {
  int status = 0;
  const pid_t got = waitpid(-1, &status, __WALL | WNOHANG);
  self.expect(got == -1 && errno == ECHILD, "there is a child to wait for: %d", got);
}

void check_resources(victim::Victim& self) {
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);
  self.expect_equal("faults of children", 0, used.ru_minflt + used.ru_majflt);
  self.expect_equal("memory of children", 0, used.ru_maxrss);
  self.expect_equal("switches of children", 0, used.ru_nvcsw + used.ru_nivcsw);
  self.expect_equal("time of children", 0, used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const bool with_child = argc > 2;
  constexpr size_t kBytes = 16 << 20;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  self.must(memory != MAP_FAILED, "mmap");
  victim::Pattern::fill(memory, kBytes, 1);

  struct sigaction action = {};
  action.sa_handler = [](int) { ++child_signals; };
  action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
  self.must(sigaction(SIGCHLD, &action, nullptr) == 0, "sigaction");
  pid_t child = 0;
  if (with_child) {
    child = fork();
    if (child == 0)
      for (;;) pause();
  }
  int pipe_fds[2];
  self.must(pipe2(pipe_fds, O_CLOEXEC) == 0, "pipe");
  const int descriptors = open_descriptors();
  const int dumpable = prctl(PR_GET_DUMPABLE);
  const std::string for_children = namespace_for_children();

  self.ready_and_wait([&] {
    if (!with_child) check_no_child(self);
  });

  check_pipe(self, pipe_fds);
  self.expect_equal("SIGCHLD", 0, child_signals);
  self.expect_equal("open descriptors", descriptors, open_descriptors());
  self.expect_equal("dumpable", dumpable, prctl(PR_GET_DUMPABLE));
  self.expect(namespace_for_children() == for_children, "the pid namespace for children changed");
  struct sigaction now = {};
  sigaction(SIGCHLD, nullptr, &now);
  self.expect(now.sa_handler == action.sa_handler &&
                  (now.sa_flags & ~0x04000000) == (action.sa_flags & ~0x04000000),
              "the action of SIGCHLD changed");
  self.expect(victim::Pattern::matches(memory, kBytes, 1), "memory changed");
  if (with_child) {
    int status = 0;
    kill(child, SIGKILL);
    self.expect(waitpid(-1, &status, __WALL) == child, "another child was waited for");
    self.expect_equal("SIGCHLD of the child", 1, child_signals);
  } else {
    check_resources(self);
  }
  check_no_child(self);
  self.expect(read_text("/proc/thread-self/children").empty(), "a child is listed");
  return self.finish();
}
