#include "engine/task/thread_sharing.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <system_error>
#include <utility>

#include "engine/base/signals_blocked.h"
#include "engine/kernel/kcmp.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::task {

namespace {

// Starting a thread for fewer costs more than it saves.
constexpr size_t kFewThreads = 16;

Result<bool> shares(Tid a, Tid b, kernel::KcmpType what) {
  return TRY(kernel::kcmp(a, b, what)) == kernel::KcmpOrder::kEqual;
}

// 0 when the kernel has none.
ino_t network_namespace(const TaskHandle& task, Tid tid) {
  const std::string name = fmt::format("task/{}/ns/net", tid.value);
  struct stat found {};
  return fstatat(task.proc().fd(), name.c_str(), &found, 0) == 0 ? found.st_ino : 0;
}

}  // namespace

Result<void> check_thread_sharing(const TaskHandle& task, const std::vector<Tid>& tids,
                                  Refusals& refusals) {
  if (tids.size() < 2) return {};
  const Tid leader = tids.front();
  const ino_t network = network_namespace(task, leader);
  for (size_t i = 1; i < tids.size(); ++i) {
    const std::string object = fmt::format("thread {}", tids[i].value);
    if (!TRY(shares(leader, tids[i], kernel::KcmpType::kFiles)))
      refusals.add(task.pid(), object,
                   "has a descriptor table of its own, it can't be checkpointed");
    if (!TRY(shares(leader, tids[i], kernel::KcmpType::kFs)))
      refusals.add(task.pid(), object,
                   "has a root or working directory of its own, it can't be checkpointed");
    if (network_namespace(task, tids[i]) != network)
      refusals.add(task.pid(), object,
                   "is in a network namespace of its own, it can't be checkpointed");
  }
  return {};
}

ThreadSharingCheck::ThreadSharingCheck(const TaskHandle& task, std::vector<Tid> tids)
    : task_(task), tids_(std::move(tids)) {
  if (tids_.size() <= kFewThreads) return;
  const AllSignalsBlocked inherited_by_the_thread;
  try {
    beside_ = std::thread([this] { result_ = check_thread_sharing(task_, tids_, found_); });
  } catch (const std::system_error&) {
    // finish() does the work
  }
}

ThreadSharingCheck::~ThreadSharingCheck() {
  if (beside_.joinable()) beside_.join();
}

Result<void> ThreadSharingCheck::finish(Refusals& refusals) {
  if (!beside_.joinable()) return check_thread_sharing(task_, tids_, refusals);
  beside_.join();
  refusals.append(found_);
  return std::move(result_);
}

}  // namespace cryostat::task
