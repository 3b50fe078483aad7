// Regular files in every open mode, with positions and append, directories half read, O_PATH,
// descriptors that share one description and descriptors that do not, a file opened twice,
// close-on-exec, owner and signal, standard devices.
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>

#include <set>

#include "tests/victims/victim.h"

namespace {

int opened(victim::Victim& self, const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags, 0640);
  self.must(fd >= 0, path.c_str());
  return fd;
}

off_t position(int fd) { return lseek(fd, 0, SEEK_CUR); }

std::string text_at(int fd, size_t size) {
  char buffer[64] = "";
  const ssize_t got = read(fd, buffer, size);
  return std::string(buffer, got > 0 ? static_cast<size_t>(got) : 0);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const std::string data = self.path("data");
  const int both = opened(self, data, O_RDWR | O_CREAT);
  self.must(write(both, "0123456789abcdef", 16) == 16, "write");
  lseek(both, 5, SEEK_SET);
  const int reader = opened(self, data, O_RDONLY | O_CLOEXEC | O_NOATIME);
  lseek(reader, 3, SEEK_SET);
  const int writer = opened(self, data, O_WRONLY | O_NONBLOCK | O_DSYNC);
  lseek(writer, 12, SEEK_SET);
  const int append = opened(self, data, O_WRONLY | O_APPEND);
  const int past_end = opened(self, data, O_RDWR);
  lseek(past_end, 1 << 20, SEEK_SET);
  const int twin = dup(both);
  const int high = dup3(both, 190, O_CLOEXEC);
  const int path_only = opened(self, data, O_PATH | O_CLOEXEC);
  const int unwritable = opened(self, self.path("read-only"), O_RDWR | O_CREAT);
  self.must(fchmod(unwritable, 0400) == 0, "fchmod");

  self.must(mkdir(self.path("dir").c_str(), 0755) == 0, "mkdir");
  for (char name = 'a'; name <= 'j'; ++name)
    close(opened(self, self.path("dir/") + name, O_WRONLY | O_CREAT));
  DIR* directory = opendir(self.path("dir").c_str());
  const int path_dir = opened(self, self.path("dir"), O_PATH | O_DIRECTORY);

  const int null = opened(self, "/dev/null", O_RDWR), zero = opened(self, "/dev/zero", O_RDONLY);
  const int full = opened(self, "/dev/full", O_WRONLY),
            random = opened(self, "/dev/urandom", O_RDONLY);
  const int slow_random = opened(self, "/dev/random", O_RDONLY);

  fcntl(both, F_SETSIG, SIGRTMIN + 4);
  const f_owner_ex owner{F_OWNER_TID, getpid()};
  fcntl(both, F_SETOWN_EX, &owner);

  self.ready_and_wait();

  self.expect_equal("position of O_RDWR", 5, position(both));
  self.expect_equal("position of O_RDONLY", 3, position(reader));
  self.expect_equal("position of O_WRONLY", 12, position(writer));
  self.expect_equal("position past the end", 1 << 20, position(past_end));
  self.expect_equal("flags of O_RDONLY", O_RDONLY | O_NOATIME, fcntl(reader, F_GETFL) & ~0100000);
  self.expect_equal("flags of O_WRONLY", O_WRONLY | O_NONBLOCK | O_DSYNC,
                    fcntl(writer, F_GETFL) & ~0100000);
  self.expect_equal("flags of O_APPEND", O_WRONLY | O_APPEND, fcntl(append, F_GETFL) & ~0100000);
  self.expect_equal("flags of O_PATH", O_PATH, fcntl(path_only, F_GETFL) & O_PATH);
  self.expect_equal("CLOEXEC of the reader", FD_CLOEXEC, fcntl(reader, F_GETFD));
  self.expect_equal("CLOEXEC of O_RDWR", 0, fcntl(both, F_GETFD));
  self.expect_equal("CLOEXEC of the dup", FD_CLOEXEC, fcntl(high, F_GETFD));

  self.expect(text_at(both, 2) == "56", "content at the position");
  self.expect_equal("a dup shares the position", 7, position(twin));
  self.expect_equal("dup3 shares the position", 7, position(high));
  self.expect_equal("another open does not", 3, position(reader));
  self.expect(write(append, "+", 1) == 1 && position(append) == 17, "append");
  self.expect(write(reader, "x", 1) < 0 && text_at(writer, 1).empty(), "access mode");
  self.expect(
      pwrite(both, "Z", 1, 0) == 1 && lseek(reader, 0, SEEK_SET) == 0 && text_at(reader, 1) == "Z",
      "all lead to one file");
  self.expect(write(unwritable, "ok", 2) == 2,
              "a descriptor opened for writing before the mode changed");
  struct stat info {
  }, path_info{};
  self.expect(fstat(path_only, &path_info) == 0 && fstat(both, &info) == 0 &&
                  info.st_ino == path_info.st_ino,
              "O_PATH file");
  // Undone, so that the checkpoint can be restored again.
  self.must(
      ftruncate(both, 16) == 0 && pwrite(both, "0", 1, 0) == 1 && ftruncate(unwritable, 0) == 0,
      "undo");

  std::set<std::string> names;
  while (const dirent* entry = readdir(directory)) names.insert(entry->d_name);
  self.expect(names.size() == 12, "%zu directory entries", names.size());
  self.expect(openat(path_dir, "a", O_RDONLY | O_CLOEXEC) >= 0, "openat below O_PATH");

  char bytes[8] = "1234567";
  self.expect(read(null, bytes, 8) == 0 && write(null, bytes, 8) == 8, "/dev/null");
  self.expect(read(zero, bytes, 8) == 8 && victim::all_zero(bytes, 8), "/dev/zero");
  self.expect(write(full, bytes, 8) < 0 && errno == ENOSPC, "/dev/full");
  self.expect(read(random, bytes, 8) == 8 && read(slow_random, bytes, 8) == 8, "/dev/random");

  self.expect_equal("F_GETSIG", SIGRTMIN + 4, fcntl(both, F_GETSIG));
  f_owner_ex found{};
  fcntl(both, F_GETOWN_EX, &found);
  self.expect(found.type == F_OWNER_TID && found.pid == getpid(), "owner is %d:%d", found.type,
              found.pid);
  return self.finish();
}
