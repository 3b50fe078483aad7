// The layout the kernel keeps of a process: arguments, environment, auxv, brk, exe link, dumpable,
// THP, a changed command line; the vDSO at its old address and working.
#include <elf.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

#include "tests/victims/victim.h"

namespace {

std::string read_file(const char* path) {
  std::string text;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  char buffer[4096];
  for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  close(fd);
  return text;
}

std::string exe() {
  char text[4096];
  const ssize_t got = readlink("/proc/self/exe", text, sizeof(text));
  return std::string(text, got > 0 ? static_cast<size_t>(got) : 0);
}

// stat fields of the layout: start_code … env_end (proc_pid_stat(5), fields 26-28 and 45-51).
std::string layout() {
  const std::string text = read_file("/proc/self/stat");
  std::string kept;
  size_t at = text.rfind(')') + 2;
  for (int field = 3; at < text.size(); ++field) {
    const size_t end = text.find(' ', at);
    if ((field >= 26 && field <= 28) || (field >= 45 && field <= 51))
      kept += text.substr(at, end - at) + " ";
    if (end == std::string::npos) break;
    at = end + 1;
  }
  return kept;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const auto auxv = read_file("/proc/self/auxv");
  const auto before_layout = layout();
  const auto before_exe = exe();
  const auto before_environ = read_file("/proc/self/environ");
  const unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
  strcpy(argv[0], "renamed");  // setproctitle as programs do it; shorter than the real name
  const auto before_cmdline = read_file("/proc/self/cmdline");

  self.ready_and_wait();

  self.expect(read_file("/proc/self/auxv") == auxv, "auxv changed");
  self.expect(layout() == before_layout, "layout is %s, was %s", layout().c_str(),
              before_layout.c_str());
  self.expect(exe() == before_exe, "exe is %s, was %s", exe().c_str(), before_exe.c_str());
  self.expect(read_file("/proc/self/environ") == before_environ, "environ changed");
  self.expect(read_file("/proc/self/cmdline") == before_cmdline, "cmdline changed");
  self.expect_equal("THP disable", 1, prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
  self.expect_equal("dumpable", 0, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
  self.expect(memcmp(reinterpret_cast<void*>(vdso), "\177ELF", 4) == 0, "no vDSO at its address");
  // Through the vDSO; must agree with the kernel's own answer.
  const long long by_vdso = victim::now_ms();
  timespec now{};
  syscall(228 /* clock_gettime */, CLOCK_MONOTONIC, &now);
  const long long by_kernel = now.tv_sec * 1000LL + now.tv_nsec / 1'000'000;
  self.expect(by_kernel - by_vdso >= 0 && by_kernel - by_vdso < 100,
              "the vDSO's clock is off by %lld ms", by_kernel - by_vdso);
  return self.finish();
}
