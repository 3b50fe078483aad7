// The floor of a restore of much memory: a file read into fresh memory by several threads.
//
// usage: read_floor FILE THREADS      prints the nanoseconds from the first thread to the last
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "bench/programs/clock.h"

namespace {

constexpr size_t kChunkBytes = size_t{4} << 20;

// Every `step`th chunk, from the `first` on.
void read_chunks(int file, char* memory, size_t bytes, size_t first, size_t step) {
  for (size_t at = first * kChunkBytes; at < bytes; at += step * kChunkBytes) {
    const size_t end = std::min(bytes, at + kChunkBytes);
    for (size_t done = at; done < end;) {
      const ssize_t got = pread(file, memory + done, end - done, static_cast<off_t>(done));
      if (got <= 0) std::exit(1);
      done += static_cast<size_t>(got);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int file = open(argv[1], O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) return 1;
  const auto bytes = static_cast<size_t>(status.st_size);
  const size_t threads = std::max(1, std::atoi(argv[2]));
  const uint64_t start = now_ns();
  auto* memory = static_cast<char*>(
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) return 1;
  std::vector<std::thread> readers;
  for (size_t i = 0; i < threads; ++i)
    readers.emplace_back(read_chunks, file, memory, bytes, i, threads);
  for (std::thread& reader : readers) reader.join();
  std::printf("%llu\n", static_cast<unsigned long long>(now_ns() - start));
}
