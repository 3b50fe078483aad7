// Dump half of the task room: the state of one frozen task and of each of its threads.
#pragma once

#include <vector>

#include "engine/base/error.h"
#include "engine/task/timed_wait.h"
#include "proto/task.pb.h"
#include "proto/wire/parasite_state.h"

namespace cryostat {
class InfectedTask;
class Refusals;
class SeizedTask;
}  // namespace cryostat
namespace cryostat::pb {
class AddressSpace;
}

namespace cryostat::task {

class SleepSamples;

struct CollectedTask {
  // address_space_id and descriptor_table_id are the caller's to set.
  pb::Task task;
  std::vector<pb::Thread> threads;  // leader first
  // What the parasite said about the whole task (program_break, dumpable, …).
  wire::TaskStateReport report;
  uint32_t tty_nr = 0;  // of its controlling terminal (proc_pid_stat(5))
  std::vector<TimedWait> timed_waits;
};

// Precondition: every thread of `seized` is stopped and `infected` answers. `sleeps`: taken before
// the freeze (sleep_clock.h); may be empty. State that can't be saved goes to `refusals`; nothing
// is changed. Errors: kTargetGone, kPermission, kFailed.
Result<CollectedTask> collect_task(SeizedTask& seized, InfectedTask& infected,
                                   const SleepSamples& sleeps, Refusals& refusals);

// The part of the report that belongs to the address space: dumpable, thp_disabled, memory_merge,
// mdwe.
void describe_address_space(const wire::TaskStateReport& report, pb::AddressSpace& space);

}  // namespace cryostat::task
