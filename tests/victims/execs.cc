// Replaces itself with execve(2) over and over while it has threads: each exec ends them, and any
// may be under way when a dump freezes the process.
#include <pthread.h>

#include "tests/victims/victim.h"

namespace {
void* rest(void*) {
  for (;;) pause();
}
}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const long count = argc > 2 ? atol(argv[2]) : 0;
  if (count == 0) self.ready();
  for (int i = 0; i < 3; ++i) {
    pthread_t thread;
    self.must(pthread_create(&thread, nullptr, rest, nullptr) == 0, "thread");
  }
  if (self.told_to_go()) return self.finish();
  const std::string next = std::to_string(count + 1);
  char* const arguments[] = {argv[0], argv[1], const_cast<char*>(next.c_str()), nullptr};
  execv("/proc/self/exe", arguments);
  self.must(false, "execv");
}
