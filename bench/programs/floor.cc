// The floor of a dump: a process that writes bytes from its own memory with plain pwrite(2).
//
// usage: floor FILE BYTES      prints the nanoseconds it took; the file stays
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "bench/programs/clock.h"

namespace {

constexpr size_t kChunk = 1 << 20;

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const size_t bytes = std::strtoull(argv[2], nullptr, 10) / kChunk * kChunk;
  auto* memory = static_cast<uint64_t*>(
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) return 1;
  uint64_t state = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < bytes / sizeof(uint64_t); ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    memory[i] = state;
  }
  const uint64_t start = now_ns();
  const int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    std::perror(argv[1]);
    return 1;
  }
  for (size_t at = 0; at < bytes; at += kChunk) {
    const char* from = reinterpret_cast<const char*>(memory) + at;
    if (pwrite(fd, from, kChunk, static_cast<off_t>(at)) != static_cast<ssize_t>(kChunk)) {
      std::perror("pwrite");
      return 1;
    }
  }
  close(fd);
  std::printf("%llu\n", static_cast<unsigned long long>(now_ns() - start));
}
