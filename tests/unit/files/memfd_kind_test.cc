// Memfds: opened in one process, restored in another.
#include <sys/mman.h>

#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

TEST_CASE("memfds are opened from their shared memory object") {
  const Subject subject([] {
    memfd_create("one", MFD_ALLOW_SEALING);  // 3
    (void)!write(3, "memory", 6);
    open("/proc/self/fd/3", O_RDONLY);  // 4: a description of its own
  });
  const auto collected = collect(subject);
  REQUIRE(collected.refusals.empty());
  REQUIRE(collected.image.descriptions.size() >= 3);
  RestoreInputs inputs;
  inputs.shared_memory_fd = [object = -1](uint32_t id) mutable -> Result<int> {
    if (id != 1) return fail(ErrorKind::kImages, "no such object");
    if (object < 0) object = fcntl(memfd_create("one", 0), F_DUPFD_CLOEXEC, 100);
    return object;
  };
  CHECK(restored(
            collected.image,
            []() -> std::string {
              EXPECT(link_of(3) == "/memfd:one (deleted)");
              EXPECT(lseek(3, 0, SEEK_CUR) == 6);
              EXPECT(lseek(4, 0, SEEK_CUR) == 0);
              EXPECT((fcntl(4, F_GETFL) & O_ACCMODE) == O_RDONLY);
              EXPECT((fcntl(3, F_GETFL) & O_ACCMODE) == O_RDWR);
              return "";
            },
            inputs) == kNothingWrong);
}

}  // namespace
}  // namespace cryostat::files
