#include "engine/dump/stop_reports.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <map>
#include <span>
#include <vector>

#include "engine/dump/tree.h"

namespace cryostat::dump {

namespace {

// si_code of what `parent` could collect of a child (P_PID) or of any (P_ALL); 0: nothing.
Result<int> uncollected(TaskDump& parent, idtype_t which, pid_t child) {
  InfectedTask& infected = parent.infected();
  siginfo_t info{};
  TRY(infected.write_data(0, std::as_bytes(std::span(&info, 1))));
  const int64_t result = TRY(infected.remote_syscall(
      SYS_waitid,
      {which, static_cast<uint64_t>(child), infected.data_address().value,
       static_cast<uint64_t>(WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT | __WALL), 0, 0}));
  if (result == -ECHILD) return 0;
  if (result < 0)
    return fail_errno(static_cast<int>(-result),
                      fmt::format("ask pid {} about its children", parent.pid().value));
  TRY(infected.read_data(0, std::as_writable_bytes(std::span(&info, 1))));
  return info.si_pid == 0 ? 0 : info.si_code;
}

bool can_be_asked(TaskDump& parent) {
  return parent.seized().seccomp_suspended() ||
         parent.collected().threads.front().seccomp().mode() == 0;
}

Result<void> collect_of(TaskDump& parent, std::span<TaskDump* const> children) {
  if (!can_be_asked(parent)) return {};
  const bool any = TRY(uncollected(parent, P_ALL, 0)) != 0;
  for (TaskDump* child : children) {
    pb::Task& image = child->collected().task;
    const int code = any ? TRY(uncollected(parent, P_PID, image.pid())) : 0;
    image.set_continue_uncollected(code == CLD_CONTINUED);
    // A stop that is only pending yet was told to nobody.
    image.set_stop_collected(child->seized().was_stopped() && code != CLD_STOPPED);
  }
  return {};
}

}  // namespace

Result<void> collect_stop_reports(Tree& tree) {
  std::map<pid_t, std::vector<TaskDump*>> children;
  for (const auto& task : tree.live())
    if (task.get() != &tree.root()) children[task->collected().task.ppid()].push_back(task.get());
  for (const auto& task : tree.live()) {
    const auto own = children.find(task->pid().value);
    if (own != children.end()) TRY(collect_of(*task, own->second));
  }
  return {};
}

}  // namespace cryostat::dump
