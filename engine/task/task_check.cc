#include "engine/task/task_check.h"

#include "engine/base/plan_report.h"
#include "engine/task/credentials.h"
#include "engine/task/limits.h"
#include "engine/task/process_attributes.h"
#include "engine/task/scheduling.h"
#include "engine/task/seccomp.h"
#include "engine/task/session.h"
#include "engine/task/start_state.h"
#include "proto/task.pb.h"

namespace cryostat::task {

void check_task(const pb::Task& task, const std::vector<pb::Thread>& threads,
                const StartState& start, const CheckOptions& options, PlanReport& report) {
  check_session(task, options.shell_job, report);
  check_limits(task, start, report);
  check_process_attributes(task, start, report);
  check_credentials(threads, start, report);
  check_scheduling(threads, start, report);
  check_seccomp(threads, start, report);
}

}  // namespace cryostat::task
