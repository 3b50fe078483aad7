// Files deleted while open: with content, empty, with holes, open twice, mapped; and one with the
// name taken by another.
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <climits>
#include <vector>

#include "tests/victims/victim.h"

namespace {

std::string link_of(const std::string& name) {
  std::array<char, PATH_MAX> text;
  const auto length = readlink(name.c_str(), text.data(), text.size());
  return length < 0 ? "" : std::string(text.data(), static_cast<size_t>(length));
}

std::string link_of(int fd) { return link_of("/proc/self/fd/" + std::to_string(fd)); }

}  // namespace

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

  // Directories: one that is open twice, and the one this process is in.
  const std::string open_folder = self.path("open-folder"), own_folder = self.path("own-folder");
  self.must(mkdir(open_folder.c_str(), 0750) == 0 && mkdir(own_folder.c_str(), 0700) == 0 &&
                chdir(own_folder.c_str()) == 0,
            "mkdir");
  const int folder = open(open_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int folder_again = open(open_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  self.must(rmdir(open_folder.c_str()) == 0 && rmdir(own_folder.c_str()) == 0, "rmdir");

  // Of this very process.
  const int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const int own_proc = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  self.ready_and_wait();

  const std::string gone = " (deleted)";
  self.expect(link_of(first) == self.path("ghost") + gone, "the ghost is called %s",
              link_of(first).c_str());
  self.expect(link_of(folder) == open_folder + gone, "the deleted folder is called %s",
              link_of(folder).c_str());
  self.expect(link_of("/proc/self/cwd") == own_folder + gone, "the working directory is %s",
              link_of("/proc/self/cwd").c_str());
  struct stat one {
  }, other{};
  fstat(folder, &one);
  fstat(folder_again, &other);
  self.expect(one.st_ino == other.st_ino && (one.st_mode & 07777) == 0750,
              "the deleted folder, mode %o", one.st_mode);
  self.expect(openat(folder, "x", O_CREAT | O_RDWR, 0600) < 0 && errno == ENOENT,
              "a file in the deleted folder");
  self.expect(access(open_folder.c_str(), F_OK) != 0 && access(own_folder.c_str(), F_OK) != 0,
              "a deleted folder has a name again");
  char text[64] = "";
  self.expect(read(status, text, sizeof text - 1) > 0 && strncmp(text, "Name:\tghosts", 12) == 0,
              "/proc/self/status: %s", text);
  self.expect(faccessat(own_proc, std::to_string(status).c_str(), F_OK, 0) == 0, "/proc/self/fd");

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
