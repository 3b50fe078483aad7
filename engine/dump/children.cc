#include "engine/dump/children.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "engine/procfs/stat.h"

namespace cryostat::dump {

namespace {

// With more, listing all processes of the machine may be the shorter way.
constexpr size_t kFewThreads = 32;

Result<void> append_numbers(const std::string& text, std::vector<HostPid>& pids) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    if (*at == ' ' || *at == '\n') {
      ++at;
      continue;
    }
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc()) return fail(ErrorKind::kFailed, "malformed list of children");
    pids.emplace_back(pid);
    at = next;
  }
  return {};
}

// Asks every process for its parent: for kernels without CONFIG_PROC_CHILDREN, and for targets with
// more threads than there are processes. While the target is stopped its children neither come nor
// go unseen: zombies are listed too.
Result<std::vector<HostPid>> children_by_parent(const ProcDir& proc, const std::vector<int>& pids,
                                                HostPid parent) {
  std::vector<HostPid> children;
  for (const int pid : pids) {
    const auto text = proc.read(fmt::format("{}/stat", pid));
    if (!text) continue;  // it ended in the meantime
    const auto stat = procfs::parse_stat(*text);
    if (stat && stat->ppid == parent.value) children.emplace_back(pid);
  }
  return children;
}

}  // namespace

Result<pid_t> last_allocated_pid() {
  const ProcDir proc = TRY(ProcDir::open("/proc"));
  const std::string text = TRY(proc.read("loadavg"));
  const size_t blank = text.rfind(' ');
  pid_t pid = 0;
  if (blank == std::string::npos ||
      std::from_chars(text.data() + blank + 1, text.data() + text.size(), pid).ec != std::errc()) {
    return fail(ErrorKind::kFailed, "malformed /proc/loadavg");
  }
  return pid;
}

Result<std::vector<HostPid>> children_of(const TaskHandle& target) {
  const std::vector<int> tids = TRY(target.proc().list_numbers("task"));
  if (tids.size() > kFewThreads) {
    const ProcDir proc = TRY(ProcDir::open("/proc"));
    const std::vector<int> pids = TRY(proc.list_numbers("."));
    if (tids.size() > pids.size()) return children_by_parent(proc, pids, target.pid());
  }
  std::vector<HostPid> children;
  for (const int tid : tids) {
    const auto text = target.proc().read(fmt::format("task/{}/children", tid));
    if (text) {
      TRY(append_numbers(*text, children));
      continue;
    }
    struct stat unused;
    const std::string thread = fmt::format("task/{}", tid);
    if (fstatat(target.proc().fd(), thread.c_str(), &unused, 0) == 0) {
      const ProcDir proc = TRY(ProcDir::open("/proc"));
      return children_by_parent(proc, TRY(proc.list_numbers(".")), target.pid());
    }
  }
  std::sort(children.begin(), children.end());
  return children;
}

}  // namespace cryostat::dump
