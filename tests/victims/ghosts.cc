// Files deleted while open: with content, empty, with holes, open twice, mapped; and one with the
// name taken by another.
#include <sys/mman.h>
#include <sys/stat.h>

#include <vector>

#include "tests/victims/victim.h"

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  auto make = [&](const char* name, mode_t mode) {
    const int fd = open(self.path(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, mode);
    self.must(fd >= 0, name);
    return fd;
  };
  std::vector<uint64_t> content(60'000 / 8);
  victim::Pattern::fill(content.data(), 60'000, 3);

  const int first = make("ghost", 0600);
  self.must(write(first, content.data(), 60'000) == 60'000, "write");
  const int again = open(self.path("ghost").c_str(), O_RDONLY | O_CLOEXEC);
  lseek(again, 100, SEEK_SET);
  self.must(fchmod(first, 0604) == 0 && fchown(first, 1000, 1001) == 0, "fchown");
  unlink(self.path("ghost").c_str());

  const int empty = make("empty", 0600);
  unlink(self.path("empty").c_str());

  const int holes = make("holes", 0600);
  self.must(pwrite(holes, "end", 3, 500'000) == 3 && pwrite(holes, "mid", 3, 100'000) == 3,
            "pwrite");
  unlink(self.path("holes").c_str());

  const int replaced = make("replaced", 0600);
  self.must(write(replaced, "old", 3) == 3, "write");
  unlink(self.path("replaced").c_str());
  const int newcomer = make("replaced", 0600);
  self.must(write(newcomer, "new", 3) == 3, "write");

  const int mapped = make("mapped-ghost", 0600);
  self.must(ftruncate(mapped, 8192) == 0, "ftruncate");
  auto* area =
      static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0));
  self.must(area != MAP_FAILED, "mmap");
  strcpy(area + 4096, "in a ghost");
  unlink(self.path("mapped-ghost").c_str());

  self.ready_and_wait();

  struct stat info {};
  fstat(first, &info);
  self.expect(info.st_nlink == 0 && info.st_size == 60'000 && (info.st_mode & 07777) == 0604 &&
                  info.st_uid == 1000 && info.st_gid == 1001,
              "ghost: links %lu size %ld mode %o owner %u:%u", info.st_nlink, info.st_size,
              info.st_mode, info.st_uid, info.st_gid);
  std::vector<uint64_t> found(60'000 / 8);
  self.expect(pread(first, found.data(), 60'000, 0) == 60'000 && found == content,
              "content of the ghost");
  self.expect(lseek(again, 0, SEEK_CUR) == 100, "position of the second open");
  self.expect(pwrite(first, "shared!!", 8, 100) == 8, "write to the ghost");
  char bytes[16] = "";
  self.expect(read(again, bytes, 8) == 8 && strcmp(bytes, "shared!!") == 0,
              "both opens lead to one ghost");
  self.expect(access(self.path("ghost").c_str(), F_OK) != 0, "the ghost has a name again");
  fstat(empty, &info);
  self.expect(info.st_size == 0 && info.st_nlink == 0, "empty ghost");
  fstat(holes, &info);
  memset(bytes, 0, sizeof(bytes));
  self.expect(info.st_size == 500'003 && pread(holes, bytes, 3, 100'000) == 3 &&
                  strcmp(bytes, "mid") == 0 && pread(holes, bytes, 3, 200'000) == 3 &&
                  bytes[0] == 0,
              "ghost with holes");
  self.expect(pread(replaced, bytes, 3, 0) == 3 && memcmp(bytes, "old", 3) == 0,
              "the old file behind a taken name");
  self.expect(pread(newcomer, bytes, 3, 0) == 3 && memcmp(bytes, "new", 3) == 0,
              "the new file of a taken name");
  self.expect(strcmp(area + 4096, "in a ghost") == 0, "mapped ghost");
  memset(bytes, 0, sizeof(bytes));
  area[0] = 'q';
  self.expect(pread(mapped, bytes, 1, 0) == 1 && bytes[0] == 'q',
              "mapping and descriptor of a ghost part");
  return self.finish();
}
