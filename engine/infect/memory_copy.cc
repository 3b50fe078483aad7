#include "engine/infect/memory_copy.h"

#include <fmt/format.h>

#include <array>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/base/log.h"
#include "engine/infect/foster_namespace.h"
#include "engine/infect/infected_task.h"
#include "engine/kernel/pidfd.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"
#include "engine/ptrace/tracee.h"

namespace cryostat {
namespace {

using wire::MemoryCopyRequest;
using wire::MemoryCopyStep;

// What of the request is read and written; the rest is stacks.
constexpr size_t kHeadBytes = offsetof(MemoryCopyRequest, messenger_stack);

const char* step_name(MemoryCopyStep step) {
  switch (step) {
    case MemoryCopyStep::kStartMessenger:
    case MemoryCopyStep::kStartMidwife:
      return "start a process";
    case MemoryCopyStep::kDropDescriptors:
      return "drop the descriptors";
    case MemoryCopyStep::kJoinUserNamespace:
      return "join a user namespace";
    case MemoryCopyStep::kJoinPidNamespace:
      return "join a pid namespace";
    case MemoryCopyStep::kFork:
      return "fork the memory";
    case MemoryCopyStep::kReapMessenger:
      return "wait for the fork, which was killed";
    case MemoryCopyStep::kNone:
      break;
  }
  return "fork";
}

// True when SIGCHLD can be ignored for a moment without anything being lost: no child can end, and
// no SIGCHLD waits to be delivered (ignoring a signal drops it).
Result<bool> can_ignore_sigchld(const SeizedTask& seized) {
  const ProcDir& proc = seized.task().proc();
  constexpr uint64_t kSigchld = ptrace::signal_bit(SIGCHLD);
  for (const SavedThread& thread : seized.threads()) {
    const std::string directory = fmt::format("task/{}", thread.tid.value);
    const auto children = proc.read(directory + "/children");
    if (!children.has_value() || !children->empty()) return false;
    const auto status = TRY(procfs::parse_status(TRY(proc.read(directory + "/status"))));
    if (((status.pending | status.shared_pending) & kSigchld) != 0) return false;
  }
  return true;
}

// The descriptors of the foster namespace, in the target for as long as they are needed.
class SentNamespaces {
 public:
  explicit SentNamespaces(InfectedTask& target) : target_(target) {}
  ~SentNamespaces() {
    for (const RemoteFd fd : {pid_, user_}) {
      if (fd.value < 0) continue;
      const auto closed = target_.close_fd(fd);
      if (!closed.has_value()) log::debug("{}", closed.error().message());
    }
  }
  SentNamespaces(const SentNamespaces&) = delete;
  SentNamespaces& operator=(const SentNamespaces&) = delete;

  Result<void> send(const FosterNamespace& foster) {
    pid_ = TRY(target_.send_fd(foster.pid_namespace_fd()));
    if (foster.user_namespace_fd() >= 0) user_ = TRY(target_.send_fd(foster.user_namespace_fd()));
    return {};
  }
  RemoteFd pid() const { return pid_; }
  RemoteFd user() const { return user_; }

 private:
  InfectedTask& target_;
  RemoteFd pid_{-1};
  RemoteFd user_{-1};
};

}  // namespace

class MemoryCopy::Impl {
 public:
  explicit Impl(TaskHandle task) : task_(std::move(task)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    const auto ended = end();
    if (!ended.has_value()) log::debug("{}", ended.error().message());
  }

  Result<void> open(const Deadline& deadline, const StopRequest& stop) {
    seized_.emplace(TRY(SeizedTask::freeze(task_, deadline, stop)));
    infected_.emplace(TRY(InfectedTask::inject(*seized_, deadline, stop)));
    return {};
  }

  Result<void> end() {
    if (std::exchange(ended_, true)) return {};
    infected_.reset();
    if (seized_.has_value()) return seized_->release(SeizedTask::Mode::kKill);
    return kernel::pidfd_send_signal(task_.pidfd(), SIGKILL);
  }

  const TaskHandle& task() const { return task_; }
  InfectedTask& infected() { return *infected_; }

 private:
  TaskHandle task_;
  std::optional<SeizedTask> seized_;
  std::optional<InfectedTask> infected_;
  bool ended_ = false;
};

Result<MemoryCopy> MemoryCopy::fork(const SeizedTask& seized, InfectedTask& target,
                                    const FosterNamespace& foster) {
  const std::string context = fmt::format("copy the memory of pid {}", seized.pid().value);
  MemoryCopyRequest request{};
  std::array<std::byte, kHeadBytes> head;
  request.quiet = TRY_IN(can_ignore_sigchld(seized), context) ? 1 : 0;
  Result<void> forked;
  {
    SentNamespaces namespaces(target);
    TRY_IN(namespaces.send(foster), context);
    request.pid_namespace_fd = namespaces.pid().value;
    request.user_namespace_fd = namespaces.user().value;
    std::memcpy(head.data(), &request, kHeadBytes);
    TRY_IN(target.write_data(0, head), context);
    forked = target.call(wire::ParasiteOp::kCopyMemory, 0);
    TRY_IN(target.read_data(0, head), context);
    std::memcpy(static_cast<void*>(&request), head.data(), kHeadBytes);
  }
  if (request.error != 0) {
    return tl::unexpected(
        Error::from_errno(-request.error, step_name(request.failed_step)).in(context));
  }
  TRY_IN(std::move(forked), context);
  const HostPid pid = TRY_IN(foster.find(request.copy_pid), context);
  auto task = TRY_IN(TaskHandle::open(pid), context);
  // Should memory run out it is the first to go.
  (void)task.proc().write("oom_score_adj", "1000");
  return MemoryCopy(std::make_unique<Impl>(std::move(task)));
}

MemoryCopy::MemoryCopy(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MemoryCopy::MemoryCopy(MemoryCopy&&) noexcept = default;
MemoryCopy::~MemoryCopy() = default;

HostPid MemoryCopy::pid() const { return impl_->task().pid(); }
Result<void> MemoryCopy::open(const Deadline& deadline, const StopRequest& stop) {
  TRY_IN(impl_->open(deadline, stop), "take over the memory copy");
  return {};
}
const TaskHandle& MemoryCopy::task() const { return impl_->task(); }
InfectedTask& MemoryCopy::infected() { return impl_->infected(); }
Result<void> MemoryCopy::end() { return impl_->end(); }

}  // namespace cryostat
