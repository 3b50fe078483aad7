#include "engine/task/collect.h"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "engine/base/refusals.h"
#include "engine/infect/infected_task.h"
#include "engine/kernel/process_memory.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"
#include "engine/procfs/timers.h"
#include "engine/ptrace/seized_task.h"
#include "engine/task/credentials.h"
#include "engine/task/interrupted_call.h"
#include "engine/task/limits.h"
#include "engine/task/process_attributes.h"
#include "engine/task/scheduling.h"
#include "engine/task/seccomp.h"
#include "engine/task/session.h"
#include "engine/task/signals.h"
#include "engine/task/sleep_clock.h"
#include "engine/task/thread_attributes.h"
#include "engine/task/thread_sharing.h"
#include "engine/task/timers.h"
#include "engine/task/tracees.h"
#include "engine/task/unsupported_state.h"
#include "proto/mm.pb.h"

namespace cryostat::task {

namespace {

int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// One pass over a frozen task.
class Collector {
 public:
  Collector(SeizedTask& seized, InfectedTask& infected, SleepSamples sleeps, Refusals& refusals)
      : seized_(seized),
        infected_(infected),
        handle_(seized.task()),
        sleeps_(std::move(sleeps)),
        refusals_(refusals) {}

  Result<CollectedTask> run();

 private:
  Result<void> collect_process();
  Result<void> collect_timers();
  Result<void> collect_threads();
  Result<void> collect_thread(const SavedThread& saved, const wire::ThreadStateReport& report,
                              pb::Thread& image);
  void collect_interrupted_call(const SavedThread& saved, const ReadRemote& read,
                                pb::InterruptedCall& image);
  Result<std::vector<uint32_t>> groups_of(Tid tid, const wire::ThreadStateReport& report) const;
  Result<void> collect_seccomp(Tid tid, int mode, pb::Seccomp& image);
  Result<void> collect_shared_queue();

  SeizedTask& seized_;
  InfectedTask& infected_;
  const TaskHandle& handle_;
  SleepSamples sleeps_;
  Refusals& refusals_;
  CollectedTask out_;
  std::vector<siginfo_t> shared_queue_;
  int64_t timers_read_ns_ = 0;  // CLOCK_MONOTONIC just before the timers were read
  uint64_t leader_pending_ = 0;
  uint64_t left_out_ = 0;  // save_queue(): SIGSTOP, SIGTRAP
};

Result<void> Collector::collect_process() {
  const procfs::Stat stat = TRY(procfs::parse_stat(TRY(handle_.proc().read("stat"))));
  const procfs::Status& status = *TRY(seized_.status());
  pb::Task& image = out_.task;
  save_session(stat, image);
  out_.tty_nr = static_cast<uint32_t>(stat.tty_nr);
  TRY(save_limits(handle_, image));
  TRY(save_process_attributes(handle_, stat, status, refusals_, image));
  image.set_thread_count(static_cast<uint32_t>(seized_.threads().size()));
  image.set_stopped(seized_.was_stopped());
  image.set_stop_signal(static_cast<uint32_t>(seized_.stop_signal()));
  return {};
}

// The parasite's report about the task carries the timers too; a task with many needs several.
Result<void> Collector::collect_timers() {
  // Absent without CONFIG_POSIX_TIMERS or CONFIG_CHECKPOINT_RESTORE; then the ids can't be known.
  const auto text = handle_.proc().read("timers");
  std::vector<procfs::PosixTimerInfo> timers;
  if (text) timers = TRY(procfs::parse_timers(*text));
  timers_read_ns_ = monotonic_ns();
  size_t done = 0;
  do {
    const size_t count = std::min<size_t>(timers.size() - done, wire::kReportTimers);
    out_.report.posix_timer_count = static_cast<uint32_t>(count);
    for (size_t i = 0; i < count; ++i)
      out_.report.posix_timers[i].id = static_cast<int32_t>(timers[done + i].id);
    TRY(infected_.collect_task_state(out_.report));
    for (size_t i = 0; i < count; ++i) {
      const procfs::PosixTimerInfo& timer = timers[done + i];
      std::string reason =
          save_posix_timer(timer, out_.report.posix_timers[i], handle_.pid().value, out_.task);
      if (!reason.empty())
        refusals_.add(handle_.pid(), fmt::format("POSIX timer {}", timer.id), std::move(reason));
    }
    done += count;
  } while (done < timers.size());
  if (out_.report.error != 0)
    return fail_errno(-out_.report.error, "collect the state of the task from inside");
  return {};
}

Result<std::vector<uint32_t>> Collector::groups_of(Tid tid,
                                                   const wire::ThreadStateReport& report) const {
  if (report.group_count <= wire::kReportGroups)
    return std::vector<uint32_t>(report.groups, report.groups + report.group_count);
  const std::string text = TRY(handle_.proc().read(fmt::format("task/{}/status", tid.value)));
  return TRY(procfs::parse_status(text)).groups;
}

Result<void> Collector::collect_seccomp(Tid tid, int mode, pb::Seccomp& image) {
  auto saved = save_seccomp(tid, mode, image);
  if (saved || saved.error().kind() != ErrorKind::kRefused) return saved;
  refusals_.add(handle_.pid(), fmt::format("thread {}", tid.value), saved.error().message());
  return {};
}

void Collector::collect_interrupted_call(const SavedThread& saved, const ReadRemote& read,
                                         pb::InterruptedCall& image) {
  const SleepSample* sample = sleeps_.find(saved.tid);
  const int64_t now_ns = monotonic_ns();
  save_interrupted_call(saved.registers, sample, now_ns, read, image);
  const auto end_ns = end_of_timed_wait(saved.registers, sample, now_ns, read);
  if (!end_ns) return;
  image.set_kind(pb::InterruptedCall::TIMED_WAIT);
  image.set_number(saved.registers.orig_rax);
  image.set_remaining_ns(static_cast<uint64_t>(*end_ns - now_ns));
  out_.timed_waits.push_back({saved.tid, saved.registers, *end_ns});
}

Result<void> Collector::collect_thread(const SavedThread& saved,
                                       const wire::ThreadStateReport& report, pb::Thread& image) {
  if (report.done != 1 || report.error != 0)
    return fail_errno(report.done != 1 ? EIO : -report.error,
                      fmt::format("collect the state of thread {} from inside", saved.tid.value));
  image.set_tid(saved.tid.value);
  image.mutable_registers()->set_general(&saved.registers, sizeof(saved.registers));
  image.mutable_registers()->set_xstate(saved.xstate.data(), saved.xstate.size());
  image.set_signal_mask(saved.signal_mask);
  image.mutable_rseq()->set_address(saved.rseq.address);
  image.mutable_rseq()->set_size_bytes(saved.rseq.size_bytes);
  image.mutable_rseq()->set_signature(saved.rseq.signature);
  image.mutable_rseq()->set_flags(saved.rseq.flags);
  const ReadRemote read = [&](RemoteAddr from, void* to, size_t bytes) {
    return kernel::read_memory(handle_.pid(), from, {static_cast<std::byte*>(to), bytes});
  };
  collect_interrupted_call(saved, read, *image.mutable_interrupted_call());
  save_thread_attributes(report, image);
  save_alternate_stack(report, *image.mutable_alternate_stack());
  save_scheduling(report, *image.mutable_scheduling());
  save_credentials(report, TRY(groups_of(saved.tid, report)), *image.mutable_credentials());
  TRY(collect_seccomp(saved.tid, report.seccomp_mode, *image.mutable_seccomp()));
  const auto queue = TRY(ptrace::peek_signals(saved.tid, ptrace::SignalQueue::kPrivate));
  left_out_ |= save_queue(queue, *image.mutable_pending());
  // What is pending for the whole task shows in every thread: the leader's record takes it.
  const bool is_leader = saved.tid == seized_.leader().tid;
  if (is_leader) leader_pending_ = report.pending;
  const uint64_t own_pending = is_leader ? report.pending : report.pending & ~leader_pending_;
  save_unqueued(own_pending, shared_queue_, queue, *image.mutable_pending());
  refuse_thread_state(handle_.pid(), saved.tid, report, refusals_);
  return {};
}

Result<void> Collector::collect_threads() {
  const auto saved = seized_.threads();
  std::vector<Tid> tids;
  for (const SavedThread& thread : saved) tids.push_back(thread.tid);
  ThreadSharingCheck sharing(handle_, std::move(tids));
  const auto reports = TRY(infected_.collect_thread_states());
  if (reports.size() != saved.size())
    return fail(ErrorKind::kFailed, "the parasite told about another number of threads");
  out_.threads.resize(saved.size());
  for (size_t i = 0; i < saved.size(); ++i)
    TRY(collect_thread(saved[i], reports[i], out_.threads[i]));
  return sharing.finish(refusals_);
}

// After the timers: see settle_ended_timers().
Result<void> Collector::collect_shared_queue() {
  shared_queue_ = TRY(ptrace::peek_signals(seized_.leader().tid, ptrace::SignalQueue::kShared));
  left_out_ |= save_queue(shared_queue_, *out_.task.mutable_pending());
  settle_ended_timers(shared_queue_, static_cast<uint64_t>(monotonic_ns() - timers_read_ns_),
                      out_.task);
  return {};
}

Result<CollectedTask> Collector::run() {
  if (sleeps_.need_timers()) sleeps_.settle(read_timer_list(), monotonic_ns());
  TRY(collect_process());
  TRY(collect_timers());
  save_interval_timers(out_.report, out_.task);
  save_actions(out_.report, out_.task);
  TRY(collect_shared_queue());
  TRY(collect_threads());
  // A SIGSTOP that is still queued stops the task as soon as it runs.
  if ((left_out_ & ptrace::signal_bit(SIGSTOP)) != 0 && !out_.task.stopped()) {
    out_.task.set_stopped(true);
    out_.task.set_stop_signal(SIGSTOP);
  }
  if ((left_out_ & ptrace::signal_bit(SIGTRAP)) != 0)
    refusals_.add(handle_.pid(), "", "has a pending SIGTRAP, it can't be checkpointed");
  const pb::Thread& leader = out_.threads.front();
  out_.task.set_personality(leader.personality());
  out_.task.set_child_subreaper(out_.report.child_subreaper == 1);
  out_.task.set_xcomp_permitted(out_.report.xcomp_permitted);
  refuse_task_state(handle_, out_.report, refusals_);
  if (out_.report.other_waits == 0) TRY(refuse_tracer(handle_, refusals_));
  return std::move(out_);
}

}  // namespace

Result<CollectedTask> collect_task(SeizedTask& seized, InfectedTask& infected,
                                   const SleepSamples& sleeps, Refusals& refusals) {
  return Collector(seized, infected, sleeps, refusals).run();
}

void describe_address_space(const wire::TaskStateReport& report, pb::AddressSpace& space) {
  space.set_dumpable(static_cast<uint32_t>(std::max(0, report.dumpable)));
  space.set_thp_disabled(report.thp_disable > 0);
  space.set_thp_disable_flags(static_cast<uint32_t>(std::max(0, report.thp_disable)));
  space.set_memory_merge(report.memory_merge == 1);
  space.set_membarrier_registrations(report.membarrier_registrations);
  space.set_mdwe(static_cast<uint32_t>(std::max(0, report.mdwe)));
}

}  // namespace cryostat::task
