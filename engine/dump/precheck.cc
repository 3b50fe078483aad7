#include "engine/dump/precheck.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "engine/kernel/capabilities.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/status.h"

namespace cryostat::dump {

namespace {

// "`bash`", or nothing when the task is gone by now.
std::string quoted_name(pid_t pid) {
  const auto dir = ProcDir::open(fmt::format("/proc/{}", pid));
  if (!dir) return {};
  const auto text = dir->read("stat");
  if (!text) return {};
  const auto stat = procfs::parse_stat(*text);
  return stat ? fmt::format(" (`{}`)", stat->comm) : std::string();
}

Result<void> check_lives(const procfs::Stat& stat, const procfs::Status& status) {
  if (stat.is_kernel_thread() || status.kernel_thread) {
    return fail(ErrorKind::kRefused, fmt::format("pid {}: kernel threads can't be checkpointed "
                                                 "(`{}`)",
                                                 stat.pid, stat.comm));
  }
  if (stat.state != 'Z' && stat.state != 'X') return {};
  if (status.threads > 1) {
    return fail(
        ErrorKind::kRefused,
        fmt::format("pid {}: its main thread has exited while {} others go on; that can't be "
                    "checkpointed",
                    stat.pid, status.threads - 1));
  }
  Error error(ErrorKind::kTargetGone,
              fmt::format("pid {} is a zombie: `{}` has ended", stat.pid, stat.comm));
  return tl::unexpected(std::move(error).with_hint(
      fmt::format("its parent {} has not collected its status yet", stat.ppid)));
}

// cr-dump would wait for itself if what it waits for, or what it reports to, were frozen.
Result<void> check_not_own(HostPid target) {
  pid_t pid = getpid();
  // The worker is the child of the process the user started; both are "cr-dump".
  for (int depth = 0; pid > 0 && depth < 10000; ++depth) {
    const ProcDir dir = TRY(ProcDir::open(fmt::format("/proc/{}", pid)));
    const std::string text = TRY(dir.read("stat"));
    const procfs::Stat stat = TRY(procfs::parse_stat(text));
    if (pid == target.value) {
      const bool own = pid == getpid() || stat.comm == "cr-dump";
      return fail(ErrorKind::kRefused,
                  own ? fmt::format("pid {} is cr-dump itself", pid)
                      : fmt::format("pid {} (`{}`) is an ancestor of cr-dump", pid, stat.comm));
    }
    pid = stat.ppid;
  }
  return {};
}

Result<void> check_untraced(const procfs::Status& status) {
  if (status.tracer_pid == 0) return {};
  Error error(ErrorKind::kRefused, fmt::format("pid {} is traced by pid {}{}", status.tgid,
                                               status.tracer_pid, quoted_name(status.tracer_pid)));
  return tl::unexpected(std::move(error).with_hint("detach the tracer first"));
}

std::string yama_hint() {
  const int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const UniqueFd owned(fd);
  char scope = '0';
  if (read(fd, &scope, 1) != 1 || scope == '0') return {};
  return fmt::format("; kernel.yama.ptrace_scope is {}", scope);
}

Result<void> check_permission(const TaskHandle& target, const procfs::Status& status) {
  const kernel::Privileges privileges = TRY(kernel::this_privileges());
  std::string missing;
  // Opening mem asks the kernel the same question as seizing does, changing nothing
  // (proc_pid_mem(5)).
  const auto mem = target.proc().open_file("mem", O_RDONLY);
  if (!mem && mem.error().kind() == ErrorKind::kTargetGone) return tl::unexpected(mem.error());
  if (!mem && !privileges.sys_ptrace) missing = "CAP_SYS_PTRACE" + yama_hint();
  // /proc/<pid>/map_files, which tells mapped files exactly (proc_pid_map_files(5), 5.9).
  if (!privileges.checkpoint_restore) {
    if (!missing.empty()) missing += " and ";
    missing += "CAP_CHECKPOINT_RESTORE";
  }
  if (missing.empty()) {
    if (mem) return {};
    return fail(ErrorKind::kPermission,
                fmt::format("pid {} of uid {} can't be traced: {}", target.pid().value,
                            status.uid.real, mem.error().message()));
  }
  Error error(ErrorKind::kPermission,
              fmt::format("to checkpoint pid {} of uid {}, cr-dump (uid {}) lacks {}",
                          target.pid().value, status.uid.real, geteuid(), missing));
  return tl::unexpected(std::move(error).with_hint("run it as root or with these capabilities"));
}

void refuse_foreign_program(const TaskHandle& target, Refusals& refusals) {
  const auto exe = target.proc().open_file("exe", O_RDONLY);
  if (!exe) return;  // registers tell 32-bit code once the task is seized
  Elf64_Ehdr header;
  if (pread(exe->get(), &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header)) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] == ELFCLASS64) {
    return;
  }
  refusals.add(target.pid(), "",
               header.e_machine == EM_X86_64 ? "x32 programs can't be checkpointed"
                                             : "32-bit programs can't be checkpointed");
}

// IPC namespaces are another matter (ipc::check_members).
Result<void> refuse_foreign_namespaces(const TaskHandle& target, Refusals& refusals) {
  struct Namespace {
    const char* file;
    const char* name;
  };
  static constexpr std::array kNamespaces = {
      Namespace{"user", "user"},   Namespace{"pid", "pid"}, Namespace{"mnt", "mount"},
      Namespace{"net", "network"}, Namespace{"uts", "UTS"}, Namespace{"cgroup", "cgroup"},
      Namespace{"time", "time"},
  };
  const ProcDir self = TRY(ProcDir::open("/proc/self"));
  for (const Namespace& kind : kNamespaces) {
    const std::string file = fmt::format("ns/{}", kind.file);
    const auto ours = self.read_link(file);
    if (!ours) continue;  // this kernel has no such namespaces
    if (*ours == TRY(target.proc().read_link(file))) continue;
    refusals.add(
        target.pid(), "",
        fmt::format("lives in another {} namespace than cr-dump: that can't be checkpointed "
                    "yet (run cr-dump inside it, e.g. with nsenter)",
                    kind.name));
  }
  const auto pid_now = target.proc().read_link("ns/pid");
  // Reads as a missing link when the new namespace has no process yet.
  const auto pid_next = target.proc().read_link("ns/pid_for_children");
  const bool gone = !pid_next && pid_next.error().errno_value() != ENOENT;
  if (pid_now && !gone && (!pid_next || *pid_now != *pid_next)) {
    refusals.add(target.pid(), "",
                 "its children go to another pid namespace: that can't be "
                 "checkpointed yet");
  }
  return {};
}

}  // namespace

Result<void> precheck(const TaskHandle& target, Refusals& refusals) {
  const procfs::Stat stat = TRY(procfs::parse_stat(TRY(target.proc().read("stat"))));
  const procfs::Status status = TRY(procfs::parse_status(TRY(target.proc().read("status"))));
  TRY(check_lives(stat, status));
  TRY(check_not_own(target.pid()));
  TRY(check_untraced(status));
  TRY(check_permission(target, status));
  return check_member(target, refusals);
}

Result<void> check_member(const TaskHandle& member, Refusals& refusals) {
  refuse_foreign_program(member, refusals);
  return refuse_foreign_namespaces(member, refusals);
}

}  // namespace cryostat::dump
