// File locks: flock, POSIX record locks (read and write, several ranges), open file description
// locks, leases. A child tries to take them and must fail.
#include <sys/file.h>
#include <sys/wait.h>

#include "tests/victims/victim.h"

namespace {

// Whether another process is kept from locking bytes [start, start + length) in mode `type`.
bool others_are_kept_out(const std::string& path, short type, off_t start, off_t length) {
  const pid_t child = fork();
  if (child == 0) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct flock lock {
      type, SEEK_SET, start, length, 0
    };
    _exit(fcntl(fd, F_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0;
}

bool flock_is_held(const std::string& path, int operation) {
  const pid_t child = fork();
  if (child == 0) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    _exit(flock(fd, operation | LOCK_NB) != 0 && errno == EWOULDBLOCK ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  auto make = [&](const char* name) {
    const int fd = open(self.path(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    self.must(fd >= 0 && ftruncate(fd, 1000) == 0, name);
    return fd;
  };
  const int exclusive = make("exclusive"), shared = make("shared"), records = make("records"),
            description = make("description");
  self.must(flock(exclusive, LOCK_EX) == 0 && flock(shared, LOCK_SH) == 0, "flock");
  struct flock write_lock {
    F_WRLCK, SEEK_SET, 10, 20, 0
  }, read_lock{F_RDLCK, SEEK_SET, 100, 0, 0}, owned{F_WRLCK, SEEK_SET, 5, 5, 0};
  self.must(fcntl(records, F_SETLK, &write_lock) == 0 && fcntl(records, F_SETLK, &read_lock) == 0,
            "F_SETLK");
  self.must(fcntl(description, F_OFD_SETLK, &owned) == 0, "F_OFD_SETLK");

  close(make("leased"));
  const int leased = open(self.path("leased").c_str(), O_RDONLY | O_CLOEXEC);
  self.must(fcntl(leased, F_SETLEASE, F_RDLCK) == 0, "F_SETLEASE");

  self.ready_and_wait();

  self.expect_equal("lease", F_RDLCK, fcntl(leased, F_GETLEASE));

  self.expect(flock_is_held(self.path("exclusive"), LOCK_SH), "exclusive flock");
  self.expect(
      flock_is_held(self.path("shared"), LOCK_EX) && !flock_is_held(self.path("shared"), LOCK_SH),
      "shared flock");
  const auto path = self.path("records");
  self.expect(others_are_kept_out(path, F_RDLCK, 10, 20), "write lock");
  self.expect(
      !others_are_kept_out(path, F_WRLCK, 0, 10) && !others_are_kept_out(path, F_WRLCK, 30, 70),
      "bytes beside the locks");
  self.expect(
      others_are_kept_out(path, F_WRLCK, 5000, 1) && !others_are_kept_out(path, F_RDLCK, 5000, 1),
      "read lock to the end");
  self.expect(others_are_kept_out(self.path("description"), F_RDLCK, 5, 5),
              "lock of an open file description");
  return self.finish();
}
