// The floor of a snapshot: how long a process with so much memory is held up by a bare fork(2).
//
// usage: fork_floor BYTES      prints the nanoseconds of the call
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "bench/programs/clock.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const size_t bytes = std::strtoull(argv[1], nullptr, 10);
  auto* memory = static_cast<char*>(
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) return 1;
  for (size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
  const uint64_t start = now_ns();
  const pid_t child = fork();
  if (child == 0) _exit(0);
  const uint64_t took = now_ns() - start;
  if (child < 0 || waitpid(child, nullptr, 0) != child) return 1;
  std::printf("%llu\n", static_cast<unsigned long long>(took));
}
