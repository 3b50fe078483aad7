// A parent and its children, all asleep: what a tree costs.
//
//   family READY TASKS SHARED_BYTES
//
// Writes its pid and the number of its tasks to READY once all of them are there. The memory is
// filled by the parent before it forks.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const long tasks = std::atol(argv[2]);
  const size_t bytes = std::strtoull(argv[3], nullptr, 10);
  if (bytes > 0) {
    void* const at =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return 1;
    auto* const words = static_cast<uint64_t*>(at);
    uint64_t value = 88172645463325252u;
    for (size_t i = 0; i < bytes / sizeof(uint64_t); ++i) {
      value ^= value << 13;
      value ^= value >> 7;
      value ^= value << 17;
      words[i] = value;
    }
  }
  int ready[2];
  if (pipe(ready) != 0) return 1;
  for (long i = 1; i < tasks; ++i) {
    const pid_t pid = fork();
    if (pid < 0) return 1;
    if (pid > 0) continue;
    const bool told = write(ready[1], "r", 1) == 1;
    close(ready[0]);
    close(ready[1]);
    if (!told) _exit(1);
    for (;;) pause();
  }
  for (long i = 1; i < tasks; ++i) {
    char byte;
    if (read(ready[0], &byte, 1) != 1) return 1;
  }
  close(ready[0]);
  close(ready[1]);
  FILE* const file = std::fopen(argv[1], "w");
  if (file == nullptr) return 1;
  std::fprintf(file, "%d %ld\n", getpid(), tasks);
  std::fclose(file);
  for (;;) pause();
}
