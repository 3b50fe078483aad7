#include "engine/base/progress.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/support/catch.h"

using namespace cryostat;

TEST_CASE("human_bytes keeps one digit and the unit") {
  CHECK(human_bytes(17) == "17 bytes");
  CHECK(human_bytes(1536) == "1.5 KiB");
  CHECK(human_bytes(2ull << 30) == "2.0 GiB");
  CHECK(human_bytes(UINT64_MAX) == "16.0 EiB");
}

TEST_CASE("progress_line tells bytes, rate and time left") {
  CHECK(progress_line("dumping", 1 << 20, 3 << 20, 1'000'000'000) ==
        "dumping memory: 1.0 MiB of 3.0 MiB, 1.0 MiB/s, 2 s left");
  // A total that was too low is not shown.
  CHECK(progress_line("restoring", 4 << 20, 3 << 20, 2'000'000'000) ==
        "restoring memory: 4.0 MiB, 2.0 MiB/s");
}

TEST_CASE("nothing is shown where there is no terminal") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  {
    TerminalProgress progress(ends[1], "dumping");
    progress.add_total(100);
    progress.advance(50);
    usleep(510'000);
    progress.advance(50);
    CHECK(progress.done_bytes() == 100);
  }
  close(ends[1]);
  char byte;
  CHECK(read(ends[0], &byte, 1) == 0);
  close(ends[0]);
}
