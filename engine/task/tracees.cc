#include "engine/task/tracees.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::task {

namespace {

// A process that ends meanwhile traces nobody and is traced by nobody.
void look_at_process(int pid, const TaskHandle& tracer, const std::vector<int>& tracer_tids,
                     Refusals& refusals) {
  const auto process = ProcDir::open(fmt::format("/proc/{}", pid));
  if (!process) return;
  const auto tids = process->list_numbers("task");
  if (!tids) return;
  for (const int tid : *tids) {
    const auto text = process->read(fmt::format("task/{}/status", tid));
    const auto status = text ? procfs::parse_status(*text) : tl::unexpected(text.error());
    if (!status || status->tracer_pid == 0 ||
        !std::binary_search(tracer_tids.begin(), tracer_tids.end(), status->tracer_pid))
      continue;
    refusals.add(tracer.pid(), "",
                 fmt::format("traces thread {} of process {} (`{}`), it can't be checkpointed", tid,
                             pid, status->name));
    return;
  }
}

}  // namespace

Result<void> refuse_tracer(const TaskHandle& task, Refusals& refusals) {
  const auto tids = TRY(task.proc().list_numbers("task"));
  for (const int pid : TRY(TRY(ProcDir::open("/proc")).list_numbers(".")))
    look_at_process(pid, task, tids, refusals);
  return {};
}

}  // namespace cryostat::task
