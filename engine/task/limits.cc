#include "engine/task/limits.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/resource.h>

#include <array>
#include <vector>

#include "engine/base/plan_report.h"
#include "engine/procfs/limits.h"
#include "engine/procfs/task_handle.h"
#include "engine/task/start_state.h"
#include "proto/task.pb.h"

namespace cryostat::task {

namespace {

constexpr std::array kNames = {
    "RLIMIT_CPU",      "RLIMIT_FSIZE", "RLIMIT_DATA",   "RLIMIT_STACK",
    "RLIMIT_CORE",     "RLIMIT_RSS",   "RLIMIT_NPROC",  "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",  "RLIMIT_AS",    "RLIMIT_LOCKS",  "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE", "RLIMIT_NICE",  "RLIMIT_RTPRIO", "RLIMIT_RTTIME"};

std::string value_text(uint64_t value) {
  return value == RLIM_INFINITY ? "unlimited" : std::to_string(value);
}

Result<rlimit> own_limit(unsigned resource) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0)
    return fail_errno("read own " + limit_name(resource));
  return limit;
}

}  // namespace

std::string limit_name(unsigned resource) {
  if (resource < kNames.size()) return kNames[resource];
  return "resource limit " + std::to_string(resource);
}

namespace {

// Sixteen short calls take less than the kernel's text. False where they are not allowed.
bool ask_limits(HostPid pid, std::vector<procfs::Limit>& limits) {
  limits.reserve(kNames.size());
  for (unsigned resource = 0; resource < kNames.size(); ++resource) {
    rlimit limit{};
    if (prlimit(pid.value, static_cast<__rlimit_resource>(resource), nullptr, &limit) != 0)
      return false;
    limits.push_back({static_cast<int>(resource), limit.rlim_cur, limit.rlim_max});
  }
  return true;
}

}  // namespace

Result<void> save_limits(const TaskHandle& task, pb::Task& image) {
  std::vector<procfs::Limit> limits;
  if (!ask_limits(task.pid(), limits))
    limits = TRY(procfs::parse_limits(TRY(task.proc().read("limits"))));
  for (const procfs::Limit& limit : limits) {
    pb::ResourceLimit& saved = *image.add_limits();
    saved.set_resource(static_cast<uint32_t>(limit.resource));
    saved.set_soft(limit.soft);
    saved.set_hard(limit.hard);
  }
  return {};
}

void check_limits(const pb::Task& image, const StartState& start, PlanReport& report) {
  const bool may_raise = (start.thread.cap_effective >> CAP_SYS_RESOURCE & 1) != 0;
  const size_t before = report.missing_count();
  for (const pb::ResourceLimit& wanted : image.limits()) {
    const std::string name = limit_name(wanted.resource());
    const auto own = own_limit(wanted.resource());
    if (!own) {
      report.missing(name, own.error());
    } else if (wanted.hard() > own->rlim_max && !may_raise) {
      report.missing(name,
                     fmt::format("the hard limit was {}, here it is {}", value_text(wanted.hard()),
                                 value_text(own->rlim_max)),
                     "raise the hard limit of the session, or restore with CAP_SYS_RESOURCE");
    }
  }
  if (report.missing_count() == before) report.ok("resource limits");
}

Result<void> plan_limits(const pb::Task& image, WireArena& arena, wire::TaskState& state) {
  std::vector<wire::ResourceLimitState> limits;
  for (const pb::ResourceLimit& wanted : image.limits()) {
    const rlimit own = TRY(own_limit(wanted.resource()));
    if (own.rlim_cur == wanted.soft() && own.rlim_max == wanted.hard()) continue;
    limits.push_back({wanted.resource(), 0, wanted.soft(), wanted.hard()});
  }
  state.limits = arena.append(limits);
  return {};
}

void raise_soft_limits() {
  for (unsigned resource = 0; resource < kNames.size(); ++resource) {
    auto limit = own_limit(resource);
    if (!limit || limit->rlim_cur == limit->rlim_max) continue;
    limit->rlim_cur = limit->rlim_max;
    // Best effort: whatever is too small is reported by the step that hits it.
    (void)setrlimit(static_cast<__rlimit_resource_t>(resource), &*limit);
  }
}

}  // namespace cryostat::task
