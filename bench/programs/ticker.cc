// What the benchmarks dump and restore: a program that ticks every 20 µs and remembers the longest
// gap between two ticks, which is how long it felt frozen. Other threads sleep in the kernel;
// memory is random and hashed on request.
//
// usage: ticker READY-FILE [THREADS [MEMORY-BYTES]]
// Writes "pid address\n" to READY-FILE, where address is that of its Shared block: the driver reads
// and writes it through /proc/<pid>/mem, so the program does no file I/O while it is measured.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "bench/programs/clock.h"

namespace {

constexpr long kTickNs = 20'000;

// Read by bench/targets.py: 64-bit words in this order.
struct Shared {
  std::atomic<uint64_t> ticks;
  std::atomic<uint64_t> longest_gap_ns;  // the driver sets it to 0
  std::atomic<uint64_t> hash_request;    // the driver raises it …
  std::atomic<uint64_t> hash_answer;     // … and waits until it appears here
  std::atomic<uint64_t> hash;
  std::atomic<uint64_t> write_bytes;    // so much of the memory is written to, evenly spread, …
  std::atomic<uint64_t> write_request;  // … when the driver raises this …
  std::atomic<uint64_t> write_answer;   // … and waits until it appears here
};
Shared shared;

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t never = PTHREAD_COND_INITIALIZER;

void* sleep_forever(void*) {
  pthread_mutex_lock(&mutex);
  for (;;) pthread_cond_wait(&never, &mutex);
}

void start_threads(int count) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 * 1024);
  for (int i = 1; i < count; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, sleep_forever, nullptr) != 0) {
      std::perror("pthread_create");
      std::exit(1);
    }
  }
}

uint64_t* random_memory(size_t bytes) {
  auto* words = static_cast<uint64_t*>(
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (words == MAP_FAILED) {
    std::perror("mmap");
    std::exit(1);
  }
  uint64_t state = 0x9e3779b97f4a7c15 ^ static_cast<uint64_t>(getpid());
  for (size_t i = 0; i < bytes / sizeof(uint64_t); ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    words[i] = state;
  }
  return words;
}

uint64_t hash_of(const uint64_t* words, size_t count) {
  uint64_t hash = 0;
  for (size_t i = 0; i < count; ++i) hash = (hash ^ words[i]) * 0x100000001b3;
  return hash;
}

// One word in each of so many pages.
void write_pages(uint64_t* words, size_t bytes, size_t wanted_bytes) {
  constexpr size_t kPageWords = 4096 / sizeof(uint64_t);
  const size_t count = wanted_bytes / 4096;
  for (size_t i = 0; i < count; ++i) ++words[bytes / 4096 * i / count * kPageWords];
}

void report_ready(const char* path) {
  char text[64];
  const int length =
      std::snprintf(text, sizeof(text), "%d %p\n", getpid(), static_cast<void*>(&shared));
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, text, static_cast<size_t>(length)) != length) {
    std::perror(path);
    std::exit(1);
  }
  close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  start_threads(argc > 2 ? std::atoi(argv[2]) : 1);
  const size_t bytes = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
  uint64_t* words = bytes != 0 ? random_memory(bytes) : nullptr;
  prctl(PR_SET_TIMERSLACK, 1);
  report_ready(argv[1]);
  uint64_t last = now_ns();
  for (;;) {
    const timespec pause{0, kTickNs};
    nanosleep(&pause, nullptr);
    const uint64_t request = shared.hash_request.load();
    if (request != shared.hash_answer.load()) {
      shared.hash = hash_of(words, bytes / sizeof(uint64_t));
      shared.hash_answer = request;
      last = now_ns();
    }
    const uint64_t to_write = shared.write_request.load();
    if (to_write != shared.write_answer.load()) {
      write_pages(words, bytes, shared.write_bytes.load());
      shared.write_answer = to_write;
      last = now_ns();
    }
    const uint64_t now = now_ns();
    if (now - last > shared.longest_gap_ns.load(std::memory_order_relaxed)) {
      shared.longest_gap_ns.store(now - last, std::memory_order_relaxed);
    }
    last = now;
    shared.ticks.fetch_add(1, std::memory_order_relaxed);
  }
}
