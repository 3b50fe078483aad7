// Files of /dev/shm: open, mapped, and deleted while mapped only.
#include <sys/mman.h>

#include "tests/victims/victim.h"

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const std::string name = "/dev/shm/cryostat-open-" + std::to_string(getpid());
  const int fd = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  self.must(fd >= 0 && write(fd, "kept", 4) == 4, "open");
  const std::string gone = "/dev/shm/cryostat-gone-" + std::to_string(getpid());
  const int ghost = open(gone.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  self.must(ghost >= 0 && ftruncate(ghost, 12288) == 0, "open");
  auto* area =
      static_cast<char*>(mmap(nullptr, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, ghost, 0));
  strcpy(area + 8192, "deleted");
  unlink(gone.c_str());
  close(ghost);
  self.ready_and_wait();
  char text[8] = "";
  self.expect(pread(fd, text, 4, 0) == 4 && strcmp(text, "kept") == 0, "file in /dev/shm");
  self.expect(strcmp(area + 8192, "deleted") == 0 && victim::all_zero(area, 8192),
              "deleted mapping in /dev/shm");
  return self.finish();
}
