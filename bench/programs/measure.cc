// Runs a command and tells what it took, from a process so small that it does not show in the
// figures: a child's peak memory starts with that of the process it was forked from.
//
// usage: measure OUTPUT-FILE COMMAND ARGS…
// Standard output and error of the command go to OUTPUT-FILE. Prints "status wall_ns
// max_rss_kib\n".
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <cstdint>
#include <cstdio>

#include "bench/programs/clock.h"

extern char** environ;

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  const uint64_t start = now_ns();
  pid_t child = 0;
  if (posix_spawnp(&child, argv[2], &actions, nullptr, argv + 2, environ) != 0) {
    std::perror(argv[2]);
    return 1;
  }
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child) return 1;
  const uint64_t end = now_ns();
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::printf("%d %llu %ld\n", code, static_cast<unsigned long long>(end - start), usage.ru_maxrss);
}
