// A file that was deleted under the name it was opened by and has another hard link, open twice.
#include <sys/stat.h>

#include <array>
#include <climits>

#include "tests/victims/victim.h"

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const std::string name = self.path("name"), other = self.path("other");
  const int first = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const int second = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  self.must(write(first, "content", 7) == 7 && link(name.c_str(), other.c_str()) == 0 &&
                unlink(name.c_str()) == 0,
            "link");

  self.ready_and_wait();

  struct stat mine {
  }, also_mine{}, theirs{};
  fstat(first, &mine);
  fstat(second, &also_mine);
  self.must(stat(other.c_str(), &theirs) == 0, "stat");
  self.expect(mine.st_ino == theirs.st_ino && also_mine.st_ino == theirs.st_ino,
              "inodes %lu and %lu, %lu on disk", mine.st_ino, also_mine.st_ino, theirs.st_ino);
  self.expect_equal("links", 1, static_cast<long long>(mine.st_nlink));
  self.expect_equal("position", 7, lseek(first, 0, SEEK_CUR));
  std::array<char, PATH_MAX> text;
  const auto length =
      readlink(("/proc/self/fd/" + std::to_string(first)).c_str(), text.data(), text.size());
  const std::string link(text.data(), length < 0 ? 0 : static_cast<size_t>(length));
  self.expect(link == name + " (deleted)", "it is called %s", link.c_str());
  self.expect(access(name.c_str(), F_OK) != 0, "the old name is back");
  char bytes[8] = "";
  self.expect(
      pwrite(first, "C", 1, 0) == 1 && read(second, bytes, 7) == 7 && strcmp(bytes, "Content") == 0,
      "content %s", bytes);
  return self.finish();
}
