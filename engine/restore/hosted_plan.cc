#include "engine/restore/hosted_plan.h"

#include <memory>
#include <optional>

#include "engine/files/restore.h"
#include "engine/memory/memory_plan.h"
#include "engine/memory/shared_memory_fds.h"
#include "engine/task/hosted_state.h"
#include "engine/task/start_state.h"
#include "engine/task/state_plan.h"

namespace cryostat::restore {

namespace {

// What earlier steps of the child leave for later ones. Lives in the child's copy of the heap.
struct ChildState {
  std::optional<memory::SharedMemoryFds> shared_memory;
  memory::MappedFileFds mapped_files;
};

Result<void> create_shared_memory(ChildContext& context, const HostedInputs& inputs,
                                  ChildState& state) {
  state.shared_memory =
      TRY(memory::SharedMemoryFds::create(inputs.images.mm, inputs.images.pagemap,
                                          {inputs.pages_fd, inputs.sums}, context.service_fds));
  return {};
}

Result<void> restore_descriptors(const HostedInputs& inputs, ChildState& state) {
  files::RestoreInputs wanted;
  wanted.terminal_fd = inputs.terminal_fd;
  wanted.shared_memory_fd = [&state](uint32_t id) { return state.shared_memory->read_write(id); };
  return files::restore_descriptors(inputs.images.files, inputs.task.task.descriptor_table_id(),
                                    wanted);
}

Result<void> fill_threads(const image::TaskImage& task, const task::StartState& start,
                          WireArena& arena, wire::RestorerPlan& plan) {
  plan.threads = arena.reserve<wire::RestorerThread>(task.threads.size());
  for (size_t i = 0; i < task.threads.size(); ++i) {
    wire::RestorerThread thread{};
    thread.tid = task.threads[i].tid();
    TRY_IN(task::fill_thread_state(task.task, task.threads[i], plan.task.filters.count, start,
                                   arena, thread.state),
           "thread " + std::to_string(thread.tid));
    arena.at(plan.threads)[i] = thread;
  }
  return {};
}

Result<void> fill_plan(const HostedInputs& inputs, ChildState& state, WireArena& arena,
                       wire::RestorerPlan& plan) {
  const memory::MemoryPlanInput memory_input{
      inputs.images.mm,     inputs.space,    inputs.images.pagemap, state.mapped_files,
      *state.shared_memory, inputs.pages_fd, inputs.sums_fd,        inputs.restore_threads};
  TRY(memory::fill_memory_plan(memory_input, arena, plan.memory));
  const task::StartState start = TRY(task::read_start_state());
  TRY(task::fill_task_state(inputs.task.task, inputs.task.threads, inputs.space.space, start, arena,
                            plan.task));
  plan.file_locks =
      arena.append(files::posix_locks(inputs.images.files, inputs.task.task.descriptor_table_id()));
  return fill_threads(inputs.task, start, arena, plan);
}

std::vector<AddressRange> target_ranges(const image::AddressSpaceImage& space) {
  std::vector<AddressRange> ranges;
  ranges.reserve(space.vmas.size());
  for (const auto& vma : space.vmas) ranges.push_back({vma.start(), vma.end()});
  return ranges;
}

}  // namespace

HostedPlan make_hosted_plan(HostedInputs& inputs, VdsoChoice vdso) {
  auto state = std::make_shared<ChildState>();
  HostedPlan plan;
  plan.target_fds =
      files::descriptor_numbers(inputs.images.files, inputs.task.task.descriptor_table_id());
  plan.target_ranges = target_ranges(inputs.space);
  plan.vdso = std::move(vdso);
  plan.keep_fds = {&inputs.pages_fd, &inputs.sums_fd};
  if (inputs.terminal_fd >= 0) plan.keep_fds.push_back(&inputs.terminal_fd);

  plan.steps.push_back({"session", [&inputs](ChildContext&) {
                          return task::apply_session(inputs.task.task, inputs.space.space);
                        }});
  plan.steps.push_back({"shared memory", [&inputs, state](ChildContext& context) {
                          return create_shared_memory(context, inputs, *state);
                        }});
  plan.steps.push_back({"mapped files", [&inputs, state](ChildContext& context) -> Result<void> {
                          state->mapped_files = TRY(memory::open_mapped_files(
                              inputs.images.mm, inputs.space, context.service_fds));
                          return {};
                        }});
  plan.steps.push_back({"descriptors", [&inputs, state](ChildContext&) {
                          return restore_descriptors(inputs, *state);
                        }});
  plan.steps.push_back({"surroundings", [&inputs](ChildContext&) {
                          return task::apply_surroundings(inputs.task.task);
                        }});
  plan.fill_plan = [&inputs, state](ChildContext&, WireArena& arena, wire::RestorerPlan& wire) {
    return fill_plan(inputs, *state, arena, wire);
  };
  return plan;
}

}  // namespace cryostat::restore
