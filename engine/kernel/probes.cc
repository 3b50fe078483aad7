#include "engine/kernel/probes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/kernel/capabilities.h"
#include "engine/kernel/constants.h"
#include "engine/kernel/pagemap_scan.h"
#include "engine/kernel/vma_iterator.h"

namespace cryostat::kernel {

namespace {

constexpr size_t kPage = 4096;

// What a probe found.
struct Finding {
  bool available;
  std::string detail;
};

Finding yes(std::string detail = "") { return {true, std::move(detail)}; }
Finding no(std::string detail) { return {false, std::move(detail)}; }
Finding by_errno(bool available, int error) { return available ? yes() : no(errno_name(error)); }

// One page of private anonymous memory for the length of a probe.
class ProbePage {
 public:
  ProbePage()
      : address_(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
  }
  ProbePage(const ProbePage&) = delete;
  ProbePage& operator=(const ProbePage&) = delete;
  ~ProbePage() {
    if (valid()) munmap(address_, kPage);
  }
  bool valid() const { return address_ != MAP_FAILED; }
  void* get() const { return address_; }
  RemoteAddr start() const { return RemoteAddr(reinterpret_cast<uint64_t>(address_)); }

 private:
  void* address_;
};

// Runs `ask` with a stopped child that is seized by us; the child is gone afterwards.
Finding with_tracee(const std::function<Finding(pid_t)>& ask) {
  const pid_t child = fork();
  if (child < 0) return no(fmt::format("fork: {}", errno_name(errno)));
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  Finding finding = no("a child can't be traced");
  if (ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL) == 0 &&
      ptrace(PTRACE_INTERRUPT, child, 0, 0) == 0 && waitpid(child, nullptr, __WALL) == child) {
    finding = ask(child);
  }
  kill(child, SIGKILL);
  while (waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  return finding;
}

// Runs `ask` in a child, so that what it changes is gone with it; 0 means available, else an errno.
Finding in_child(const std::function<int()>& ask) {
  const pid_t child = fork();
  if (child < 0) return no(fmt::format("fork: {}", errno_name(errno)));
  if (child == 0) _exit(ask() & 0xff);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return no(errno_name(errno));
  }
  if (!WIFEXITED(status)) return no(fmt::format("the probe died of signal {}", WTERMSIG(status)));
  return by_errno(WEXITSTATUS(status) == 0, WEXITSTATUS(status));
}

// Asks PAGEMAP_SCAN for pages with one of `flags`.
Finding probe_page_flags(uint64_t flags) {
  const UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  const ProbePage page;
  if (!pagemap || !page.valid()) return no(errno_name(errno));
  std::array<PageRegion, 1> regions;
  PageQuery query;
  query.start = page.start();
  query.end = page.start() + kPage;
  query.any_of = query.report = flags;
  const auto answer = scan_pages(pagemap.get(), query, regions);
  return answer ? yes() : no(errno_name(answer.error().errno_value()));
}

Finding probe_pagemap_scan() { return probe_page_flags(kPageIsPresent | kPageIsSwapped); }

Finding probe_vma_iterator() {
  const auto iterator = VmaIterator::load();
  if (!iterator) return no(iterator.error().message());
  const auto areas = iterator->read(HostPid(getpid()));
  return areas ? yes() : no(areas.error().message());
}

Finding probe_pagemap_guard() { return probe_page_flags(kPageIsGuard); }

Finding probe_guard_regions() {
  const ProbePage page;
  if (!page.valid()) return no(errno_name(errno));
  const bool good = madvise(page.get(), kPage, kMadvGuardInstall) == 0;
  return by_errno(good, errno);
}

Finding probe_clone3_set_tid() {
  // A number beyond every nesting limit is EINVAL before anything is created; a kernel that does
  // not know the field says E2BIG, one without clone3 ENOSYS.
  uint64_t arguments[10] = {};
  arguments[9] = UINT64_MAX;
  const long result = syscall(SYS_clone3, arguments, sizeof(arguments));
  return by_errno(result < 0 && errno == EINVAL, errno);
}

Finding probe_rseq_configuration() {
  return with_tracee([](pid_t child) {
    uint64_t configuration[3] = {};
    const long size = ptrace(static_cast<__ptrace_request>(kPtraceGetRseqConfiguration), child,
                             sizeof(configuration), configuration);
    return by_errno(size > 0, errno);
  });
}

Finding probe_suspend_seccomp() {
  return with_tracee([](pid_t child) {
    constexpr unsigned long kSuspendSeccomp = 1u << 21;
    const long result = ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_EXITKILL | kSuspendSeccomp);
    return by_errno(result == 0, errno);
  });
}

Finding probe_seccomp_filters() {
  return with_tracee([](pid_t child) {
    constexpr int kSeccompGetFilter = 0x420c;
    // A task without filters answers EINVAL, one that may not ask EACCES (ptrace(2), 4.4).
    ptrace(static_cast<__ptrace_request>(kSeccompGetFilter), child, 0, 0);
    return by_errno(errno == EINVAL || errno == ENOENT, errno);
  });
}

Finding probe_user_dispatch() {
  return with_tracee([](pid_t child) {
    uint64_t configuration[4] = {};
    const long result = ptrace(static_cast<__ptrace_request>(kPtraceGetSyscallUserDispatchConfig),
                               child, sizeof(configuration), configuration);
    return by_errno(result == 0, errno);
  });
}

Finding probe_timer_restore_ids() {
  const int state = prctl(kPrTimerCreateRestoreIds, kPrTimerCreateRestoreIdsGet, 0, 0, 0);
  return by_errno(state >= 0, errno);
}

Finding probe_userfaultfd_wp_async() {
  const UniqueFd uffd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)));
  if (!uffd) return no(errno_name(errno));
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = kUffdFeatureWpAsync | kUffdFeatureWpUnpopulated;
  const bool good = ioctl(uffd.get(), UFFDIO_API, &api) == 0;
  return by_errno(good, errno);
}

Finding probe_soft_dirty() {
  return in_child([]() -> int {
    const ProbePage page;
    const UniqueFd refs(open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
    const UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (!page.valid() || !refs || !pagemap || write(refs.get(), "4", 1) != 1) return errno;
    std::memset(page.get(), 1, kPage);
    uint64_t entry = 0;
    const off_t at = static_cast<off_t>(page.start().value / kPage * sizeof(entry));
    if (pread(pagemap.get(), &entry, sizeof(entry), at) != sizeof(entry)) return errno;
    return (entry & kPagemapSoftDirty) != 0 ? 0 : EOPNOTSUPP;
  });
}

Finding probe_kcmp() {
  const pid_t self = getpid();
  constexpr int kKcmpVm = 1;
  const bool good = syscall(SYS_kcmp, self, self, kKcmpVm, 0, 0) == 0;
  return by_errno(good, errno);
}

Finding probe_pidfd_getfd() {
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!pidfd) return no(fmt::format("pidfd_open: {}", errno_name(errno)));
  const UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), pidfd.get(), 0)));
  return by_errno(copy.valid(), errno);
}

Finding probe_process_vm() {
  char from = 1;
  char to = 0;
  iovec here{&to, 1};
  iovec there{&from, 1};
  const bool good = process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
  return by_errno(good, errno);
}

Finding probe_map_files() {
  const ProbePage page;
  const UniqueFd dir(open("/proc/self/map_files", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return no(errno_name(errno));
  // Following a link needs the capability; one that is not there says ENOENT only to the
  // privileged.
  const auto privileges = this_privileges();
  return privileges && privileges->checkpoint_restore ? yes() : no("lacks CAP_CHECKPOINT_RESTORE");
}

Finding probe_proc_children() {
  const UniqueFd file(open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC));
  return by_errno(file.valid(), errno);
}

Finding probe_set_mm_map() {
  constexpr int kPrSetMmMapSize = 15;
  unsigned size = 0;
  const bool good = prctl(PR_SET_MM, kPrSetMmMapSize, &size, 0, 0) == 0;
  return good ? yes(fmt::format("{} bytes", size)) : no(errno_name(errno));
}

Finding probe_vma_name() {
  const ProbePage page;
  if (!page.valid()) return no(errno_name(errno));
  const bool good = prctl(kPrSetVma, kPrSetVmaAnonName, page.get(), kPage, "cryostat") == 0;
  return by_errno(good, errno);
}

Finding probe_protection_keys() {
  const int key = static_cast<int>(syscall(SYS_pkey_alloc, 0, 0));
  const int error = errno;
  if (key >= 0) syscall(SYS_pkey_free, key);
  return by_errno(key >= 0, error);
}

Finding probe_hugetlb() {
  UniqueFd file(open("/proc/sys/vm/nr_hugepages", O_RDONLY | O_CLOEXEC));
  char text[24] = {};
  if (!file || read(file.get(), text, sizeof(text) - 1) <= 0) return no(errno_name(errno));
  text[std::strcspn(text, "\n")] = 0;
  return yes(fmt::format("{} pages reserved", text));
}

Finding probe_mseal() {
  // No range at all is sealed without effect (mseal(2), 6.10).
  const ProbePage page;
  const bool good = syscall(kSysMseal, page.get(), 0, 0) == 0;
  return by_errno(good, errno);
}

Finding probe_memfd() {
  const UniqueFd file(memfd_create("cryostat-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return by_errno(file.valid(), errno);
}

Finding probe_sched_debug() {
  const UniqueFd file(open("/proc/thread-self/sched", O_RDONLY | O_CLOEXEC));
  char text[256] = {};
  if (!file || read(file.get(), text, sizeof(text) - 1) <= 0) return no(errno_name(errno));
  return std::strstr(text, "se.exec_start") != nullptr ? yes() : no("no se.exec_start line");
}

Finding probe_capability(int capability) {
  const auto privileges = this_privileges();
  if (!privileges) return no(privileges.error().message());
  return privileges->has(capability) ? yes() : no("not in the effective set");
}

Finding probe_cap_checkpoint_restore() {
  const auto privileges = this_privileges();
  if (!privileges) return no(privileges.error().message());
  if (privileges->has(kCapCheckpointRestore)) return yes();
  return privileges->sys_admin ? yes("by CAP_SYS_ADMIN") : no("not in the effective set");
}

struct Probe {
  const char* name;
  bool required;
  const char* needed_for;
  Finding (*ask)();
};

constexpr Probe kProbes[] = {
    {"clone3 set_tid", true, "restoring process and thread ids", probe_clone3_set_tid},
    {"pidfd_getfd", true, "looking at descriptors, the parasite's connection", probe_pidfd_getfd},
    {"process_vm_readv", true, "reading and writing the memory of a target", probe_process_vm},
    {"kcmp", true, "telling which descriptors share one open file", probe_kcmp},
    {"/proc/pid/map_files", true, "telling mapped files exactly", probe_map_files},
    {"PR_SET_MM_MAP", true, "restoring the memory layout", probe_set_mm_map},
    {"memfd_create", true, "restoring shared memory", probe_memfd},
    {"CAP_CHECKPOINT_RESTORE", true, "choosing process ids, mapped files, the exe link",
     probe_cap_checkpoint_restore},
    {"CAP_SYS_PTRACE", false, "tasks of other users",
     [] { return probe_capability(kCapSysPtrace); }},
    {"CAP_SYS_ADMIN", false, "tasks under seccomp", [] { return probe_capability(kCapSysAdmin); }},
    {"CAP_SYS_RESOURCE", false, "restoring limits above cr-restore's own",
     [] { return probe_capability(kCapSysResource); }},
    {"PTRACE_GET_RSEQ_CONFIGURATION", false,
     "restartable sequences: tasks that use them (glibc 2.35 and later) are refused without",
     probe_rseq_configuration},
    {"PTRACE_O_SUSPEND_SECCOMP", false, "tasks under seccomp: refused without",
     probe_suspend_seccomp},
    {"PTRACE_SECCOMP_GET_FILTER", false, "tasks under seccomp: refused without",
     probe_seccomp_filters},
    {"PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG", false,
     "finding (and refusing) tasks with system call user dispatch", probe_user_dispatch},
    {"PAGEMAP_SCAN", false, "finding pages in use; /proc/pid/pagemap is read without",
     probe_pagemap_scan},
    {"PAGEMAP_SCAN guard category", false, "finding guard regions", probe_pagemap_guard},
    {"BPF iterator of mappings", false,
     "flags of the mappings of large processes; smaps is read without", probe_vma_iterator},
    {"MADV_GUARD_INSTALL", false, "restoring guard regions", probe_guard_regions},
    {"PR_TIMER_CREATE_RESTORE_IDS", false,
     "restoring ids of POSIX timers at once; one by one without", probe_timer_restore_ids},
    {"/proc/pid/children", false, "finding children; every process is asked without",
     probe_proc_children},
    {"/proc/pid/sched", false, "time left of an interrupted poll or futex wait; EINTR without",
     probe_sched_debug},
    {"userfaultfd write-protect async", false, "tracking written pages (incremental checkpoints)",
     probe_userfaultfd_wp_async},
    {"soft-dirty", false, "tracking written pages where userfaultfd can't", probe_soft_dirty},
    {"PR_SET_VMA_ANON_NAME", false, "restoring names of anonymous mappings", probe_vma_name},
    {"protection keys", false, "restoring memory under protection keys", probe_protection_keys},
    {"hugetlb", false, "restoring hugetlb mappings", probe_hugetlb},
    {"mseal", false, "restoring sealed mappings", probe_mseal},
};

Feature run(const Probe& probe) {
  Finding finding = probe.ask();
  return {probe.name, finding.available, probe.required, std::move(finding.detail),
          probe.needed_for};
}

}  // namespace

std::vector<Feature> probe_all() {
  std::vector<Feature> features;
  for (const Probe& probe : kProbes) features.push_back(run(probe));
  return features;
}

Feature probe(std::string_view name) {
  for (const Probe& known : kProbes) {
    if (known.name == name) return run(known);
  }
  return {std::string(name), false, false, "unknown feature", ""};
}

}  // namespace cryostat::kernel
