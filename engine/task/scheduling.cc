#include "engine/task/scheduling.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "engine/base/plan_report.h"
#include "engine/task/start_state.h"
#include "proto/scheduling.pb.h"
#include "proto/task.pb.h"
#include "proto/wire/state_calls.h"

namespace cryostat::task {

namespace {

using wire::calls::KernelSchedAttr;

// SCHED_FLAG_* (linux/sched.h) that are state of the thread; the UTIL_CLAMP bits only say which
// values a call carries.
constexpr uint64_t kFlagResetOnFork = 0x01;
constexpr uint64_t kFlagReclaim = 0x02;
constexpr uint64_t kFlagDlOverrun = 0x04;
constexpr uint64_t kStateFlags = kFlagResetOnFork | kFlagReclaim | kFlagDlOverrun;
constexpr uint64_t kFlagUtilClamp = 0x60;
constexpr uint32_t kUtilMax = 1024;
constexpr uint32_t kSchedDeadline = 6;

KernelSchedAttr attr_of(const wire::ThreadStateReport& report) {
  KernelSchedAttr attr;
  std::memcpy(&attr, report.sched_attr, sizeof(attr));
  return attr;
}

bool has_clamp(const pb::Scheduling& image) {
  return image.util_min() != 0 || (image.util_max() != 0 && image.util_max() != kUtilMax);
}

// A kernel with utilization clamps reports full utilization for a task that never asked.
bool knows_clamps(const KernelSchedAttr& own) { return own.util_max != 0; }

// Real-time tasks run at full utilization unless they ask for less: that needs no clamp.
bool needs_clamps(const pb::Scheduling& image) {
  const bool realtime = image.policy() == SCHED_FIFO || image.policy() == SCHED_RR;
  return has_clamp(image) &&
         !(realtime && image.util_min() == kUtilMax && image.util_max() == kUtilMax);
}

bool same_policy(const pb::Scheduling& image, const KernelSchedAttr& own) {
  return image.policy() == own.policy && image.nice() == own.nice &&
         image.priority() == own.priority &&
         (image.flags() & kStateFlags) == (own.flags & kStateFlags) &&
         image.runtime_ns() == own.runtime_ns && image.deadline_ns() == own.deadline_ns &&
         image.period_ns() == own.period_ns && !has_clamp(image);
}

// CPU masks differ in length between kernels: trailing zeroes say nothing.
std::string trimmed(std::string mask) {
  while (!mask.empty() && mask.back() == '\0') mask.pop_back();
  return mask;
}
std::string own_affinity(const StartState& start) {
  const auto bytes = static_cast<size_t>(std::max(0, start.thread.affinity_bytes));
  return {reinterpret_cast<const char*>(start.thread.affinity), bytes};
}

bool has_a_cpu_here(const std::string& mask) {
  const auto cpus = static_cast<size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_CONF)));
  for (size_t cpu = 0; cpu < std::min(cpus, mask.size() * 8); ++cpu)
    if (static_cast<unsigned char>(mask[cpu / 8]) >> (cpu % 8) & 1) return true;
  return false;
}

bool is_privileged_policy(const pb::Scheduling& image, const KernelSchedAttr& own) {
  const bool realtime = image.policy() == SCHED_FIFO || image.policy() == SCHED_RR ||
                        image.policy() == kSchedDeadline;
  return (realtime && !same_policy(image, own)) || image.nice() < own.nice;
}

}  // namespace

void save_scheduling(const wire::ThreadStateReport& report, pb::Scheduling& image) {
  const KernelSchedAttr attr = attr_of(report);
  image.set_policy(attr.policy);
  image.set_nice(attr.nice);
  image.set_priority(attr.priority);
  image.set_flags(attr.flags & kStateFlags);
  image.set_runtime_ns(attr.runtime_ns);
  image.set_deadline_ns(attr.deadline_ns);
  image.set_period_ns(attr.period_ns);
  image.set_util_min(attr.util_min);
  image.set_util_max(attr.util_max);
  if (report.affinity_bytes > 0)
    image.set_affinity(report.affinity, std::min<size_t>(static_cast<size_t>(report.affinity_bytes),
                                                         sizeof(report.affinity)));
  image.set_timer_slack_ns(report.timer_slack_ns);
  image.set_io_priority(static_cast<uint32_t>(std::max(0, report.io_priority)));
}

void check_scheduling(const std::vector<pb::Thread>& threads, const StartState& start,
                      PlanReport& report) {
  const KernelSchedAttr own = attr_of(start.thread);
  const bool may_raise = (start.thread.cap_effective >> CAP_SYS_NICE & 1) != 0;
  const size_t before = report.missing_count();
  for (const pb::Thread& thread : threads) {
    const pb::Scheduling& image = thread.scheduling();
    const std::string subject = fmt::format("scheduling of thread {}", thread.tid());
    if (!image.affinity().empty() && !has_a_cpu_here(image.affinity()))
      report.missing(subject, "none of the CPUs it is bound to exists here");
    if (!may_raise && is_privileged_policy(image, own))
      report.missing(subject, "its policy or nice value needs CAP_SYS_NICE", "restore as root",
                     ErrorKind::kPermission);
    if (needs_clamps(image) && !knows_clamps(own))
      report.missing(subject, fmt::format("its utilization clamp, {} to {}, needs a kernel with "
                                          "CONFIG_UCLAMP_TASK",
                                          image.util_min(), image.util_max()));
  }
  if (report.missing_count() == before) report.ok("scheduling");
}

void plan_scheduling(const pb::Scheduling& image, const StartState& start, WireArena& arena,
                     wire::ThreadState& state) {
  const KernelSchedAttr own = attr_of(start.thread);
  if (!same_policy(image, own)) {
    state.calls |= wire::kSetScheduling;
    KernelSchedAttr attr;
    attr.size = sizeof(attr);
    attr.policy = image.policy();
    attr.flags = image.flags() & kStateFlags;
    attr.nice = image.nice();
    attr.priority = image.priority();
    attr.runtime_ns = image.runtime_ns();
    attr.deadline_ns = image.deadline_ns();
    attr.period_ns = image.period_ns();
    if (has_clamp(image) && knows_clamps(own)) {
      attr.flags |= kFlagUtilClamp;
      attr.util_min = image.util_min();
      attr.util_max = image.util_max();
    } else {
      attr.size = offsetof(KernelSchedAttr, util_min);
    }
    std::memcpy(state.sched_attr, &attr, sizeof(attr));
  }
  const std::string affinity = trimmed(image.affinity());
  if (!affinity.empty() && affinity != trimmed(own_affinity(start))) {
    state.calls |= wire::kSetAffinity;
    state.affinity =
        arena.append(std::span(reinterpret_cast<const uint8_t*>(affinity.data()), affinity.size()));
  }
  // 0 is what a real-time thread has; setting it would mean "the default".
  state.timer_slack_ns = image.timer_slack_ns();
  if (image.timer_slack_ns() != 0 && image.timer_slack_ns() != start.thread.timer_slack_ns)
    state.calls |= wire::kSetTimerSlack;
  state.io_priority = static_cast<int32_t>(image.io_priority());
  if (state.io_priority != std::max(0, start.thread.io_priority))
    state.calls |= wire::kSetIoPriority;
}

}  // namespace cryostat::task
