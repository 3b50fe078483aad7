// Descriptors whose makers have more than one end, at numbers that are far from each other: pipes,
// socket pairs, deleted files. With the argument "tree" two children have them too, of which one
// has only one end of each.
#include <sys/socket.h>
#include <sys/wait.h>

#include <vector>

#include "tests/victims/victim.h"

namespace {

constexpr int kPipes = 100;
constexpr int kPairs = 60;
constexpr int kGhosts = 40;

struct Ends {
  int input;   // read here
  int output;  // what was written there
};

int ghost(victim::Victim& self, int number) {
  const std::string path = self.path("ghost");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  self.must(fd >= 0 && write(fd, &number, sizeof number) == sizeof number, "ghost");
  unlink(path.c_str());
  return fd;
}

// The inputs first, then the outputs.
std::vector<Ends> make(victim::Victim& self) {
  std::vector<Ends> all;
  std::vector<int> spare;
  for (int i = 0; i < kPipes + kPairs; ++i) {
    int pair[2];
    self.must((i < kPipes ? pipe(pair) : socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) == 0, "pair");
    const int far = fcntl(pair[1], F_DUPFD, 3 + kPipes + kPairs + kGhosts);
    self.must(far >= 0, "far end");
    close(pair[1]);
    all.push_back({pair[0], far});
  }
  for (int i = 0; i < kGhosts; ++i) {
    const int fd = ghost(self, i);
    const auto again = "/proc/self/fd/" + std::to_string(fd);
    const int other = open(again.c_str(), O_RDWR);
    const int far = fcntl(other, F_DUPFD, 3 + 2 * (kPipes + kPairs));
    self.must(far >= 0, "far description");
    close(other);
    all.push_back({fd, far});
  }
  return all;
}

void check(victim::Victim& self, const std::vector<Ends>& all) {
  for (int i = 0; i < static_cast<int>(all.size()); ++i) {
    const auto [input, output] = all[static_cast<size_t>(i)];
    const int ghost = i - kPipes - kPairs;
    int got = -1;
    if (ghost >= 0) {
      self.expect(pread(output, &got, sizeof got, 0) == sizeof got && got == ghost,
                  "deleted file %d holds %d", ghost, got);
      self.expect(pwrite(input, &i, sizeof i, 0) == sizeof i &&
                      pread(output, &got, sizeof got, 0) == sizeof got && got == i,
                  "the descriptions of deleted file %d are not of one file", ghost);
      self.expect(pwrite(input, &ghost, sizeof ghost, 0) == sizeof ghost, "write back");
      continue;
    }
    self.expect(write(output, &i, sizeof i) == sizeof i &&
                    read(input, &got, sizeof got) == sizeof got && got == i,
                "pair %d gives %d", i, got);
  }
}

// A task below: with all descriptors, or with the inputs alone. It ends when told to.
pid_t start(victim::Victim& self, const std::vector<Ends>& all, bool inputs_only) {
  const pid_t pid = fork();
  self.must(pid >= 0, "fork");
  if (pid != 0) return pid;
  if (inputs_only)
    for (const auto& ends : all) close(ends.output);
  while (!self.told_to_go()) victim::Victim::pause_ms(2);
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const auto all = make(self);
  std::vector<pid_t> children;
  if (argc > 2) children = {start(self, all, false), start(self, all, true)};
  self.ready_and_wait();
  for (const pid_t child : children) {
    int status = -1;
    self.expect(waitpid(child, &status, 0) == child && status == 0, "child %d: %#x", child, status);
  }
  check(self, all);
  return self.finish();
}
