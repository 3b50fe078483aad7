// Regular files, directories and deleted files: opened in one process, restored in another.
#include <sys/stat.h>

#include <cstring>

#include "engine/base/plan_report.h"
#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

TEST_CASE("regular files come back with position, flags, sharing and close-on-exec") {
  const TempFolder folder;
  const auto path = folder / "file (deleted)";  // a name that looks like a mark
  fill(path, "0123456789");
  const auto open_all = [&] {
    open(path.c_str(), O_RDONLY | O_CLOEXEC);  // 3
    lseek(3, 4, SEEK_SET);
    open(path.c_str(), O_WRONLY | O_APPEND | O_SYNC);     // 4
    open(path.c_str(), O_RDWR | O_NONBLOCK | O_NOATIME);  // 5
    dup2(3, 70);
    dup2(3, 9);
    open(path.c_str(), O_RDONLY);  // 6, same flags and position as 5 has: a description of its own
  };
  CHECK(roundtrip(open_all, [&]() -> std::string {
          EXPECT(link_of(3) == path);
          EXPECT(lseek(3, 0, SEEK_CUR) == 4);
          EXPECT(fcntl(3, F_GETFD) == FD_CLOEXEC);
          EXPECT(fcntl(70, F_GETFD) == 0);
          lseek(70, 7, SEEK_SET);
          EXPECT(lseek(3, 0, SEEK_CUR) == 7);
          EXPECT(lseek(9, 0, SEEK_CUR) == 7);
          EXPECT(lseek(6, 0, SEEK_CUR) == 0);
          EXPECT((fcntl(4, F_GETFL) & (O_ACCMODE | O_APPEND | O_SYNC)) ==
                 (O_WRONLY | O_APPEND | O_SYNC));
          EXPECT((fcntl(5, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_NOATIME)) ==
                 (O_RDWR | O_NONBLOCK | O_NOATIME));
          EXPECT(fcntl(7, F_GETFD) == -1);
          EXPECT(write(1, "x", 1) == 1);
          return "";
        }) == kNothingWrong);
}

TEST_CASE("directories and O_PATH places come back") {
  const TempFolder folder;
  const auto link = folder / "link";
  REQUIRE(symlink("nowhere", link.c_str()) == 0);
  CHECK(roundtrip(
            [&] {
              open((folder / "").c_str(), O_RDONLY | O_DIRECTORY);  // 3
              open(link.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);  // 4
              open("/dev/null", O_PATH);                            // 5
            },
            [&]() -> std::string {
              EXPECT(link_of(3) + "/" == folder / "");
              EXPECT(link_of(4) == link);
              EXPECT((fcntl(4, F_GETFL) & O_PATH) != 0);
              EXPECT(link_of(5) == "/dev/null");
              EXPECT((fcntl(5, F_GETFL) & O_PATH) != 0);
              EXPECT(openat(3, "link", O_PATH | O_NOFOLLOW) >= 0);
              return "";
            }) == kNothingWrong);
}

TEST_CASE("deleted files come back with content, attributes and sharing, without a name") {
  const TempFolder folder;
  const auto path = folder / "gone";
  CHECK(roundtrip(
            [&] {
              open(path.c_str(), O_RDWR | O_CREAT, 0640);  // 3
              (void)!write(3, "begin", 5);
              (void)!pwrite(3, "end", 3, 3 << 20);
              fchmod(3, 04751);
              struct timespec times[2] = {{1000, 5}, {-3, 7}};
              open(path.c_str(), O_RDONLY);  // 4: the same file again
              unlink(path.c_str());
              futimens(3, times);
            },
            [&]() -> std::string {
              struct stat st, other;
              EXPECT(fstat(3, &st) == 0 && fstat(4, &other) == 0);
              EXPECT(st.st_ino == other.st_ino);
              EXPECT(st.st_nlink == 0);
              EXPECT(st.st_size == (3 << 20) + 3);
              EXPECT(st.st_blocks < 100);
              EXPECT((st.st_mode & 07777) == 04751);
              EXPECT(st.st_mtim.tv_sec == -3 && st.st_mtim.tv_nsec == 7);
              EXPECT(lseek(3, 0, SEEK_CUR) == 5);
              EXPECT(lseek(4, 0, SEEK_CUR) == 0);
              EXPECT((fcntl(4, F_GETFL) & O_ACCMODE) == O_RDONLY);
              char text[6] = {};
              EXPECT(pread(4, text, 5, 0) == 5 && std::strcmp(text, "begin") == 0);
              EXPECT(pread(4, text, 5, 3 << 20) == 3 && std::strncmp(text, "end", 3) == 0);
              return "";
            }) == kNothingWrong);
  CHECK(std::filesystem::is_empty(folder / ""));
}

TEST_CASE("an empty deleted file and one made with O_TMPFILE come back") {
  const TempFolder folder;
  CHECK(roundtrip(
            [&] {
              open((folder / "empty").c_str(), O_RDWR | O_CREAT, 0600);  // 3
              unlink((folder / "empty").c_str());
              open((folder / "").c_str(), O_TMPFILE | O_RDWR, 0600);  // 4
              (void)!write(4, "data", 4);
            },
            [&]() -> std::string {
              struct stat st;
              EXPECT(fstat(3, &st) == 0 && st.st_size == 0 && st.st_nlink == 0);
              EXPECT(fstat(4, &st) == 0 && st.st_size == 4);
              // Like before, it may still be given a name.
              EXPECT(linkat(AT_FDCWD, "/proc/self/fd/4", AT_FDCWD, (folder / "named").c_str(),
                            AT_SYMLINK_FOLLOW) == 0);
              EXPECT(linkat(AT_FDCWD, "/proc/self/fd/3", AT_FDCWD, (folder / "not").c_str(),
                            AT_SYMLINK_FOLLOW) == -1);
              return "";
            }) == kNothingWrong);
}

TEST_CASE("what the plan finds changed is named with both values") {
  const TempFolder folder;
  const auto grown = folder / "grown", gone = folder / "gone", swapped = folder / "swapped";
  for (const auto& path : {grown, gone, swapped}) fill(path, "12345");
  const Subject subject([&] {
    open(grown.c_str(), O_WRONLY | O_APPEND);
    open(gone.c_str(), O_RDONLY);
    open(swapped.c_str(), O_RDONLY);
    open(swapped.c_str(), O_RDONLY);
  });
  const auto collected = collect(subject);
  REQUIRE(collected.refusals.empty());
  PlanReport plan;
  check_files(collected.image, {}, plan);
  CHECK(plan.complete());
  fill(grown, "1234567");
  std::filesystem::remove(gone);
  std::filesystem::remove(swapped);
  std::filesystem::create_directory(swapped);
  plan = PlanReport();
  check_files(collected.image, {}, plan);
  CHECK(plan.missing_count() == 3);
  std::string text;
  for (const auto& line : plan.lines()) text += line + "\n";
  INFO(text);
  CHECK(text.find(grown + ": size was 5 bytes, is 7 bytes now") != std::string::npos);
  CHECK(text.find(gone + ": was open at the dump: No such file") != std::string::npos);
  CHECK(text.find(swapped + ": was a regular file, is a directory now") != std::string::npos);
}

}  // namespace
}  // namespace cryostat::files
