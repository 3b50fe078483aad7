#include "engine/image/task_image.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/user.h>

#include <csignal>
#include <set>

#include "engine/image/checkpoint_reader.h"

namespace cryostat::image {

namespace {

constexpr size_t kSiginfoBytes = 128;
// Legacy region, XSAVE header; the tail depends on the machine (AMX tiles are 8 KiB).
constexpr size_t kMinXstateBytes = 576;
constexpr size_t kMaxXstateBytes = 64 << 10;
constexpr uint32_t kSignals = 64;
// PID_MAX_LIMIT of 64-bit kernels.
constexpr int32_t kMaxPid = 4 << 20;

bool pid_fits(int32_t pid) { return pid > 0 && pid <= kMaxPid; }

template <typename Pending>
bool siginfos_fit(const Pending& pending) {
  for (const auto& signal : pending)
    if (signal.siginfo().size() != kSiginfoBytes) return false;
  return true;
}

// Empty when the record is well formed, else what is wrong with it.
std::string wrong_with(const pb::Task& task) {
  if (!pid_fits(task.pid())) return fmt::format("pid {} is out of range", task.pid());
  if (task.has_zombie() != (task.thread_count() == 0)) return "a task without threads";
  if (task.stop_signal() > kSignals) return fmt::format("stop signal {}", task.stop_signal());
  for (const auto& action : task.actions())
    if (action.number() == 0 || action.number() > kSignals)
      return fmt::format("handler of signal {}", action.number());
  if (!siginfos_fit(task.pending())) return "a pending signal's siginfo has the wrong size";
  std::set<uint32_t> timers;
  for (const auto& timer : task.posix_timers())
    if (timer.id() > INT32_MAX || !timers.insert(timer.id()).second)
      return fmt::format("POSIX timer id {} twice or out of range", timer.id());
  for (const auto& limit : task.limits()) {
    if (limit.resource() >= RLIM_NLIMITS)
      return fmt::format("resource limit {} does not exist", limit.resource());
    if (limit.soft() > limit.hard())
      return fmt::format("resource limit {}: soft {} above hard {}", limit.resource(), limit.soft(),
                         limit.hard());
  }
  for (const auto& timer : task.interval_timers())
    if (timer.which() > 2) return fmt::format("interval timer {}", timer.which());
  return "";
}

std::string wrong_with(const pb::Thread& thread) {
  if (!pid_fits(thread.tid())) return fmt::format("tid {} is out of range", thread.tid());
  const auto& registers = thread.registers();
  if (registers.general().size() != sizeof(user_regs_struct))
    return fmt::format("thread {}: {} bytes of general registers", thread.tid(),
                       registers.general().size());
  const size_t xstate_bytes = registers.xstate().size();
  if (xstate_bytes < kMinXstateBytes || xstate_bytes > kMaxXstateBytes)
    return fmt::format("thread {}: {} bytes of xstate", thread.tid(), xstate_bytes);
  if (!siginfos_fit(thread.pending())) return "a pending signal's siginfo has the wrong size";
  if (thread.comm().size() > 15) return fmt::format("thread {}: name too long", thread.tid());
  for (const auto& filter : thread.seccomp().filters())
    if (filter.instructions().size() % 8 != 0 || filter.instructions().size() > 4096 * 8)
      return fmt::format("thread {}: seccomp filter of {} bytes", thread.tid(),
                         filter.instructions().size());
  if (thread.interrupted_call().args_size() > 6)
    return fmt::format("thread {}: interrupted call of {} arguments", thread.tid(),
                       thread.interrupted_call().args_size());
  return "";
}

// The last task has all its threads.
bool complete(const TasksImage& image) {
  return image.tasks.empty() ||
         image.tasks.back().threads.size() == image.tasks.back().task.thread_count();
}

}  // namespace

Result<TasksImage> load_tasks(const CheckpointReader& reader) {
  auto records = TRY(reader.records(FileType::kTasks));
  TasksImage image;
  std::set<int32_t> ids;
  while (const auto record = TRY(records.next())) {
    if (record->is<pb::Task>()) {
      if (!complete(image)) return records.fail_at(*record, "the task before it lacks threads");
      auto task = TRY(records.parse<pb::Task>(*record));
      if (const auto wrong = wrong_with(task); !wrong.empty())
        return records.fail_at(*record, wrong);
      if (task.has_zombie() && (image.tasks.empty() || !ids.insert(task.pid()).second))
        return records.fail_at(*record, fmt::format("zombie {} out of place", task.pid()));
      image.tasks.push_back({std::move(task), {}});
      continue;
    }
    auto thread = TRY(records.parse<pb::Thread>(*record));
    if (const auto wrong = wrong_with(thread); !wrong.empty())
      return records.fail_at(*record, wrong);
    if (complete(image)) return records.fail_at(*record, "a thread that belongs to no task");
    TaskImage& task = image.tasks.back();
    if (task.threads.empty() && thread.tid() != task.task.pid())
      return records.fail_at(*record, "the first thread is not the leader");
    if (!ids.insert(thread.tid()).second)
      return records.fail_at(*record, fmt::format("tid {} twice", thread.tid()));
    task.threads.push_back(std::move(thread));
  }
  if (image.tasks.empty() || !complete(image))
    return fail(ErrorKind::kImages,
                fmt::format("{}: tasks or threads are missing at its end", records.path()));
  return image;
}

}  // namespace cryostat::image
