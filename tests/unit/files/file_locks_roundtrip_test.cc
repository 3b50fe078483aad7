// Locks: taken in one process, restored in another.
#include <sys/file.h>

#include "engine/base/plan_report.h"
#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

TEST_CASE("locks come back: of the description with it, of the process for the restorer") {
  const TempFolder folder;
  const auto path = folder / "file";
  fill(path, std::string(100, 'x'));
  image::FilesImage image;
  {
    const Subject subject([&] {
      open(path.c_str(), O_RDONLY);  // 3
      open(path.c_str(), O_RDWR);    // 4
      open(path.c_str(), O_RDWR);    // 5
      flock(3, LOCK_SH);
      struct flock range = {};
      range.l_type = F_WRLCK;
      range.l_start = 10;
      range.l_len = 5;
      fcntl(4, F_SETLK, &range);
      range.l_type = F_RDLCK;
      range.l_start = 50;
      range.l_len = 0;
      fcntl(5, F_OFD_SETLK, &range);
    });
    auto collected = collect(subject, {.file_locks = true});
    REQUIRE(collected.refusals.lines().empty());
    image = std::move(collected.image);
    PlanReport plan;
    check_files(image, {}, plan);
    CHECK(plan.missing_count() == 1);  // the first process still has them
  }
  PlanReport plan;
  check_files(image, {}, plan);
  CHECK(plan.complete());
  const auto posix = posix_locks(image, 1);
  REQUIRE(posix.size() == 1);
  CHECK(posix[0].fd == 4);
  CHECK(posix[0].type == F_WRLCK);
  CHECK(posix[0].start == 10);
  CHECK(posix[0].length == 5);
  CHECK(restored(image, [&]() -> std::string {
          const int other = open(path.c_str(), O_RDWR);
          EXPECT(flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
          EXPECT(flock(other, LOCK_SH | LOCK_NB) == 0);
          struct flock range = {};
          range.l_type = F_WRLCK;
          range.l_start = 60;
          EXPECT(fcntl(other, F_OFD_SETLK, &range) == -1 && errno == EAGAIN);
          range.l_type = F_RDLCK;
          EXPECT(fcntl(other, F_OFD_SETLK, &range) == 0);
          return "";
        }) == kNothingWrong);
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now());
  plan = PlanReport();
  check_files(image, {}, plan);
  CHECK(plan.missing_count() == 1);
}

}  // namespace
}  // namespace cryostat::files
