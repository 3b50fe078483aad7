// Attributes of the process: umask, working directory, resource limits, personality, OOM score,
// core dump filter, session and group.
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/victims/victim.h"

namespace {

long read_number(const char* path, int base) {
  FILE* file = fopen(path, "re");
  char text[64] = "";
  if (file == nullptr || fgets(text, sizeof(text), file) == nullptr) return -1;
  fclose(file);
  return strtol(text, nullptr, base);
}

void write_text(victim::Victim& self, const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  self.must(fd >= 0 && write(fd, text, strlen(text)) > 0, path);
  close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  umask(0027);
  self.must(mkdir(self.path("cwd").c_str(), 0755) == 0 && chdir(self.path("cwd").c_str()) == 0,
            "chdir");
  rlimit limits[RLIM_NLIMITS];
  const rlimit files{200, 300}, core{1 << 20, 1 << 21}, stack{1 << 22, 1 << 23};
  setrlimit(RLIMIT_NOFILE, &files);
  setrlimit(RLIMIT_CORE, &core);
  setrlimit(RLIMIT_STACK, &stack);
  for (int i = 0; i < static_cast<int>(RLIM_NLIMITS); ++i)
    getrlimit(static_cast<__rlimit_resource>(i), &limits[i]);
  personality(ADDR_NO_RANDOMIZE | UNAME26);
  write_text(self, "/proc/self/oom_score_adj", "321");
  write_text(self, "/proc/self/coredump_filter", "0x13");
  // Ends us when our parent does: leaving cr-restore -d must not count.
  prctl(PR_SET_PDEATHSIG, SIGUSR2);
  const pid_t session = getsid(0), group = getpgrp();

  self.ready_and_wait();

  const mode_t mask = umask(0);
  umask(mask);
  self.expect_equal("umask", 0027, mask);
  char cwd[4096] = "";
  self.expect(getcwd(cwd, sizeof(cwd)) != nullptr && self.path("cwd") == cwd,
              "working directory is %s", cwd);
  for (int i = 0; i < static_cast<int>(RLIM_NLIMITS); ++i) {
    rlimit now{};
    getrlimit(static_cast<__rlimit_resource>(i), &now);
    self.expect(now.rlim_cur == limits[i].rlim_cur && now.rlim_max == limits[i].rlim_max,
                "limit %d is %lu/%lu, was %lu/%lu", i, now.rlim_cur, now.rlim_max,
                limits[i].rlim_cur, limits[i].rlim_max);
  }
  self.expect_equal("personality", ADDR_NO_RANDOMIZE | UNAME26, personality(0xffffffff));
  self.expect_equal("oom_score_adj", 321, read_number("/proc/self/oom_score_adj", 10));
  self.expect_equal("coredump_filter", 0x13, read_number("/proc/self/coredump_filter", 16));
  int death_signal = 0;
  prctl(PR_GET_PDEATHSIG, &death_signal);
  self.expect_equal("parent-death signal", SIGUSR2, death_signal);
  self.expect_equal("session", session, getsid(0));
  self.expect_equal("group", group, getpgrp());
  return self.finish();
}
