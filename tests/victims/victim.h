// What every victim is built on: set something up, say ready, wait, check that it is still there.
//
// A victim is started with a folder of its own as first argument. It writes "ready" there (its pid,
// or "SKIP reason" when this machine can't do what it is about), waits for "go" to appear and then
// writes "result": PASS, or a line about each difference.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>

namespace victim {

class Victim {
 public:
  Victim(int argc, char** argv) {
    if (argc < 2) {
      fprintf(stderr, "usage: %s FOLDER [ARGUMENT…]\n", argv[0]);
      exit(2);
    }
    folder_ = argv[1];
  }

  std::string path(const char* name) const { return folder_ + "/" + name; }

  // Ends the victim: this machine can't do it.
  [[noreturn]] void skip(const std::string& reason) {
    write_file("ready", "SKIP " + reason + "\n");
    exit(0);
  }

  // Set-up that must work. The reason names errno.
  void must(bool condition, const char* what) {
    if (condition) return;
    fprintf(stderr, "set up: %s: %s\n", what, strerror(errno));
    exit(2);
  }

  void ready() { write_file("ready", std::to_string(getpid()) + "\n"); }
  bool told_to_go() const { return access(path("go").c_str(), F_OK) == 0; }

  // Says ready and waits; `meanwhile` is called about every 2 ms.
  void ready_and_wait(const std::function<void()>& meanwhile = {}) {
    ready();
    while (!told_to_go()) {
      if (meanwhile) meanwhile();
      pause_ms(2);
    }
  }

  // Records a difference (at most 50, so that a wrong array does not fill the disk).
  __attribute__((format(printf, 3, 4))) bool expect(bool condition, const char* format, ...) {
    if (condition) return true;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (++failures_ <= 50) report_ += std::string(text) + "; ";
    return false;
  }
  bool expect_equal(const char* what, long long expected, long long actual) {
    return expect(expected == actual, "%s: %lld, was %lld", what, actual, expected);
  }

  // Writes the verdict; the exit code.
  int finish() {
    write_file("result", failures_ == 0 ? "PASS\n" : "FAIL " + report_ + "\n");
    return failures_ == 0 ? 0 : 1;
  }

  static void pause_ms(long milliseconds) {
    timespec pause{milliseconds / 1000, milliseconds % 1000 * 1'000'000};
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
  }

 private:
  void write_file(const char* name, const std::string& text) const {
    const std::string draft = path(name) + ".draft";
    const int fd = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      _exit(3);
    close(fd);
    if (rename(draft.c_str(), path(name).c_str()) != 0) _exit(3);
  }

  std::string folder_;
  std::string report_;
  int failures_ = 0;
};

// A reproducible byte stream: the same seed gives the same bytes.
class Pattern {
 public:
  explicit Pattern(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  // `bytes` is a multiple of 8.
  static void fill(void* memory, size_t bytes, uint64_t seed) {
    Pattern pattern(seed);
    auto* words = static_cast<uint64_t*>(memory);
    for (size_t i = 0; i < bytes / 8; ++i) words[i] = pattern.next();
  }
  static bool matches(const void* memory, size_t bytes, uint64_t seed) {
    Pattern pattern(seed);
    const auto* words = static_cast<const uint64_t*>(memory);
    for (size_t i = 0; i < bytes / 8; ++i)
      if (words[i] != pattern.next()) return false;
    return true;
  }

 private:
  uint64_t state_;
};

inline bool all_zero(const void* memory, size_t bytes) {
  const auto* first = static_cast<const unsigned char*>(memory);
  for (size_t i = 0; i < bytes; ++i)
    if (first[i] != 0) return false;
  return true;
}

// Milliseconds of CLOCK_MONOTONIC.
inline long long now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1'000'000;
}

}  // namespace victim
