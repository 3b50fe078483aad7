#include "engine/restore/hosted_plan.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "engine/files/restore.h"
#include "engine/files/task_descriptors.h"
#include "engine/memory/memory_plan.h"
#include "engine/memory/shared_memory_fds.h"
#include "engine/task/hosted_state.h"
#include "engine/task/start_state.h"
#include "engine/task/state_plan.h"

namespace cryostat::restore {

namespace {

// One task's part; what earlier steps of it leave for later ones lives in its copy of the heap.
struct Member {
  Member(const HostedInputs& all, size_t index)
      : inputs(all),
        image(all.images.tasks.tasks[index]),
        index(index),
        role(all.roles[index]),
        fds(all.handed) {}

  const pb::Task& task() const { return image.task; }
  const image::AddressSpaceImage& space() const {
    return *inputs.images.mm.space(task().address_space_id());
  }
  pid_t pid_of(size_t task) const { return inputs.images.tasks.tasks[task].task.pid(); }
  // Waits for the other tasks, if there are any.
  void meet(Rendezvous::Point point) const {
    if (inputs.live_tasks > 1) inputs.rendezvous.arrive(point, inputs.live_tasks, role.turn);
  }

  // Counts itself in, and waits if it must or if a tree is not plain.
  void meet_if(bool must, Rendezvous::Point point) const {
    if (must || !inputs.is_plain || inputs.lends()) return meet(point);
    if (inputs.live_tasks > 1) inputs.rendezvous.pass(point, inputs.live_tasks);
  }
  // Others get open files from here.
  bool opens_for_others() const {
    return !inputs.descriptions.shared_of(task().descriptor_table_id()).empty();
  }

  const HostedInputs& inputs;
  const image::TaskImage& image;
  const size_t index;
  const SharingRole& role;
  HandedFds fds;
  std::optional<memory::SharedMemoryFds> shared_memory;
  memory::MappedFileFds mapped_files;
  files::RestoreInputs file_inputs;
  std::optional<files::TaskDescriptors> descriptors;
};

// A copy of a descriptor of another task of the tree.
Result<UniqueFd> fetch_from(pid_t pid, int fd) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return fail_errno(fmt::format("pidfd_open of task {}", pid));
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (!copy) return fail_errno(fmt::format("take descriptor {} of task {}", fd, pid));
  return copy;
}

Result<void> create_shared_memory(ChildContext& context, Member& member) {
  const HostedInputs& inputs = member.inputs;
  member.shared_memory.emplace(context.service_fds);
  for (const uint32_t object : inputs.objects.used_by(member.index)) {
    if (inputs.objects.owner(object) != member.index) continue;
    inputs.rendezvous.object_numbers()[object] = TRY(member.shared_memory->create(
        inputs.images.mm, inputs.images.pagemap, member.fds.stores, object));
  }
  return {};
}

Result<void> fetch_shared_memory(Member& member) {
  const HostedInputs& inputs = member.inputs;
  for (const uint32_t object : inputs.objects.used_by(member.index)) {
    const size_t owner = inputs.objects.owner(object);
    if (owner == member.index) continue;
    TRY(member.shared_memory->adopt(
        object, TRY(fetch_from(member.pid_of(owner), inputs.rendezvous.object_numbers()[object]))));
  }
  return {};
}

Result<void> open_descriptors(Member& member) {
  const HostedInputs& inputs = member.inputs;
  member.file_inputs.terminal_fd = member.fds.terminal_fd;
  member.file_inputs.inherited = member.fds.inherited;
  member.file_inputs.pty_masters = member.fds.pty_masters;
  member.file_inputs.unix_room = inputs.unix_room;
  member.file_inputs.shared_memory_fd = [&member](uint32_t id) {
    return member.shared_memory->read_write(id);
  };
  member.descriptors.emplace(
      TRY(files::TaskDescriptors::create(inputs.images.files, inputs.descriptions,
                                         member.task().descriptor_table_id(), member.file_inputs)));
  return member.descriptors->open_shared(inputs.rendezvous.description_numbers());
}

Result<void> fetch_descriptors(Member& member) {
  return member.descriptors->fetch(member.inputs.rendezvous.description_numbers(),
                                   [&](uint32_t table, int fd) {
                                     return fetch_from(member.inputs.table_leaders.at(table), fd);
                                   });
}

// Descriptors and shared memory objects are made by the task whose table it is; then, at the
// latest, the table is left alone, and objects can be taken from there for the memory.
Result<void> follow_table(ChildContext& context, Member& member) {
  member.shared_memory.emplace(context.service_fds);
  member.meet(Rendezvous::Point::kCreated);
  if (member.inputs.lends()) {
    member.meet(Rendezvous::Point::kBorrowed);
    member.meet(Rendezvous::Point::kGivenUp);
  }
  member.meet(Rendezvous::Point::kOpened);
  member.meet(Rendezvous::Point::kFetched);
  const Rendezvous& rendezvous = member.inputs.rendezvous;
  rendezvous.await(rendezvous.members()[member.role.table.leader].table_ready, member.role.turn);
  TRY_IN(fetch_shared_memory(member), "shared memory");
  return {};
}

// Nobody else has an end of a pair when its owner goes on: one end may have to be closed.
Result<void> borrow(ChildContext& context, Member& member) {
  const HostedInputs& inputs = member.inputs;
  TRY(borrow_pairs(inputs.images, inputs.lent_pairs, member.task().descriptor_table_id(),
                   context.service_fds, inputs.lent_numbers(), member.file_inputs));
  TRY(borrow_connections(inputs.images, inputs.lent_connections,
                         member.task().descriptor_table_id(), context.service_fds,
                         inputs.connection_words(), member.file_inputs));
  member.meet(Rendezvous::Point::kBorrowed);
  give_up_lent_pairs(inputs.lent_pairs, member.index, context.service_fds, inputs.lent_numbers());
  give_up_connections(inputs.lent_connections, member.index, context.service_fds,
                      inputs.connection_words());
  member.meet(Rendezvous::Point::kGivenUp);
  return {};
}

// Everything several tasks have: made, then handed out.
Result<void> share(ChildContext& context, Member& member) {
  if (member.role.follows(member.role.table)) return follow_table(context, member);
  TRY_IN(create_shared_memory(context, member), "shared memory");
  const HostedInputs& inputs = member.inputs;
  TRY_IN(
      make_lent_connections(inputs.images, inputs.lent_connections, member.role, inputs.rendezvous,
                            inputs.unix_room, context.service_fds, inputs.connection_words()),
      "connections of UNIX sockets");
  if (inputs.live_tasks == 1) {
    if (inputs.lends()) TRY_IN(borrow(context, member), "connections of UNIX sockets");
    TRY_IN(open_descriptors(member), "descriptors");
    return {};
  }
  TRY_IN(make_lent_pairs(inputs.images, inputs.lent_pairs, member.index, context.service_fds,
                         inputs.lent_numbers()),
         "socket pairs of other tasks");
  // A description of a memfd needs the object, which may be another task's. And whoever opens files
  // may need a process for that, whose number must not be that of one who is not born yet.
  member.meet_if(member.opens_for_others() || !inputs.objects.used_by(member.index).empty(),
                 Rendezvous::Point::kCreated);
  if (inputs.lends()) TRY_IN(borrow(context, member), "sockets of other tasks");
  TRY_IN(fetch_shared_memory(member), "shared memory");
  TRY_IN(open_descriptors(member), "descriptors");
  member.meet(Rendezvous::Point::kOpened);
  TRY_IN(fetch_descriptors(member), "descriptors");
  // Its descriptors stay where they are until everybody has them.
  member.meet_if(member.opens_for_others(), Rendezvous::Point::kFetched);
  return {};
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

Result<void> fill_plan(Member& member, WireArena& arena, wire::RestorerPlan& plan) {
  const HostedInputs& inputs = member.inputs;
  const bool has_memory = !member.role.follows(member.role.memory);
  const memory::MemoryPlanInput memory_input{
      inputs.images.mm,       member.space(),        inputs.images.pagemap,
      member.mapped_files,    *member.shared_memory, member.fds.stores,
      inputs.restore_threads, inputs.staged,         member.index};
  if (has_memory) TRY(memory::fill_memory_plan(memory_input, arena, plan.memory));
  const task::StartState start = TRY(task::read_start_state());
  TRY(task::fill_task_state(member.task(), member.image.threads, member.space().space, start, arena,
                            plan.task));
  // Of the whole address space.
  if (!has_memory) plan.task.membarrier_registrations = 0;
  if (!member.role.follows(member.role.table))
    plan.file_locks =
        arena.append(files::posix_locks(inputs.images.files, member.task().descriptor_table_id()));
  return fill_threads(member.image, start, arena, plan);
}

// What a task without memory or without a table of its own has no use for stays behind.
void add_kept_fds(Member& member, HostedPlan& plan) {
  const SharingRole& role = member.role;
  const bool has_table = !role.follows(role.table);
  HandedFds& fds = member.fds;
  if (has_table || !role.follows(role.memory)) {
    for (memory::StoreFiles& store : fds.stores) {
      plan.keep_fds.push_back(&store.pages_fd);
      plan.keep_fds.push_back(&store.sums_fd);
    }
  }
  if (!has_table) return;
  if (fds.terminal_fd >= 0) plan.keep_fds.push_back(&fds.terminal_fd);
  for (auto& [key, fd] : fds.inherited) plan.keep_fds.push_back(&fd);
  for (auto& [pty, fd] : fds.pty_masters)
    if (member.inputs.descriptions.owner(pty) == member.task().descriptor_table_id())
      plan.keep_fds.push_back(&fd);
}

std::vector<AddressRange> target_ranges(const image::AddressSpaceImage& space) {
  std::vector<AddressRange> ranges;
  ranges.reserve(space.vmas.size());
  for (const auto& vma : space.vmas) ranges.push_back({vma.start(), vma.end()});
  return ranges;
}

}  // namespace

Result<void> stage_memory(const HostedInputs& inputs, size_t birth) {
  if (inputs.staged == nullptr) return {};
  const auto& tasks = inputs.images.tasks.tasks;
  // Placeholders come after the tasks.
  const auto* space =
      birth < tasks.size() ? inputs.images.mm.space(tasks[birth].task.address_space_id()) : nullptr;
  const auto huge_pages = space != nullptr && space->space.thp_disabled()
                              ? memory::HugePages::kNone
                              : memory::HugePages::kAsConfigured;
  // A helper of another process than the root could take a number that is to be another's.
  const uint32_t readers = birth == 0 ? memory::choose_readers(inputs.restore_threads,
                                                               inputs.staged->bytes_to_read(birth))
                                      : 1;
  TRY_IN(inputs.staged->stage(birth, inputs.images.mm, inputs.handed.stores, huge_pages, readers),
         "read pages that several tasks have");
  return {};
}

HostedPlan make_hosted_plan(const HostedInputs& inputs, size_t task, VdsoChoice vdso) {
  auto member = std::make_shared<Member>(inputs, task);
  const SharingRole& role = member->role;
  const bool has_memory = !role.follows(role.memory);
  const bool has_table = !role.follows(role.table);
  HostedPlan plan;
  plan.target_fds =
      files::descriptor_numbers(inputs.images.files, member->task().descriptor_table_id());
  plan.target_ranges = target_ranges(member->space());
  if (has_memory) plan.vdso = std::move(vdso);
  add_kept_fds(*member, plan);

  plan.steps.push_back(
      {"start", [member](ChildContext&) { return task::apply_start(member->space().space); }});
  plan.steps.push_back(
      {"share", [member](ChildContext& context) { return share(context, *member); }});
  if (has_memory)
    plan.steps.push_back({"mapped files", [member](ChildContext& context) -> Result<void> {
                            member->mapped_files = TRY(memory::open_mapped_files(
                                member->inputs.images.mm, member->space(), context.service_fds));
                            return {};
                          }});
  if (has_table)
    plan.steps.push_back(
        {"descriptors", [member](ChildContext&) { return member->descriptors->place(); }});
  const task::Surroundings surroundings{.directories = !role.follows(role.directories),
                                        .gives_up_rseq = has_memory};
  // Those that need paths after it has changed them wait for nobody.
  (role.is_shared(role.directories) ? plan.last_steps : plan.steps)
      .push_back({"surroundings", [member, surroundings](ChildContext&) {
                    return task::apply_surroundings(member->task(), surroundings);
                  }});
  plan.fill_plan = [member](ChildContext&, WireArena& arena, wire::RestorerPlan& wire) {
    return fill_plan(*member, arena, wire);
  };
  return plan;
}

}  // namespace cryostat::restore
