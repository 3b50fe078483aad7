#include "engine/files/collect.h"

#include <fmt/format.h>
#include <sys/statfs.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "engine/base/refusals.h"
#include "engine/base/span.h"
#include "engine/files/collect_context.h"
#include "engine/files/descriptor_table.h"
#include "engine/files/file_locks.h"
#include "engine/files/ghost_file.h"
#include "engine/files/in_flight.h"
#include "engine/files/kind.h"
#include "engine/files/kinds/external.h"
#include "engine/files/owner.h"
#include "engine/files/unsupported.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/procfs/task_handle.h"
#include "proto/files.pb.h"

namespace cryostat::files {

struct FilesCollection::Data {
  std::vector<pb::Description> descriptions;
  std::vector<PendingGhost> ghosts;
  std::vector<pb::DescriptorTable> tables;
  RemapLinks links;
};

FilesCollection::FilesCollection() : data_(std::make_unique<Data>()) {}
FilesCollection::FilesCollection(FilesCollection&&) noexcept = default;
FilesCollection& FilesCollection::operator=(FilesCollection&&) noexcept = default;
FilesCollection::~FilesCollection() = default;
size_t FilesCollection::description_count() const { return data_->descriptions.size(); }
size_t FilesCollection::descriptor_count() const {
  size_t count = 0;
  for (const auto& table : data_->tables) count += static_cast<size_t>(table.entries_size());
  return count;
}
void FilesCollection::keep_links() { data_->links.keep(); }

uint32_t FilesCollection::find_pty(uint32_t tty_nr) const {
  constexpr uint32_t kSlaveMajor = 136;
  const uint32_t index = (tty_nr & 0xff) | (tty_nr >> 12 & 0xfff00);
  if ((tty_nr >> 8 & 0xfff) != kSlaveMajor) return 0;
  for (const auto& description : data_->descriptions)
    if (description.pty().has_state() && description.pty().index() == index)
      return description.id();
  return 0;
}

std::vector<std::pair<int32_t, uint32_t>> FilesCollection::controlled_sessions() const {
  std::vector<std::pair<int32_t, uint32_t>> sessions;
  for (const auto& description : data_->descriptions)
    if (const int32_t session = description.pty().state().session(); session != 0)
      sessions.emplace_back(session, description.id());
  return sessions;
}

std::vector<std::pair<uint32_t, size_t>> FilesCollection::own_terminals() const {
  std::map<uint32_t, uint32_t> ptys;  // by description
  for (const auto& description : data_->descriptions)
    if (description.pty().path() == "/dev/tty") ptys[description.id()] = description.pty().pty_id();
  std::vector<std::pair<uint32_t, size_t>> found;
  for (size_t i = 0; i < data_->tables.size(); ++i)
    for (const auto& entry : data_->tables[i].entries())
      if (const auto known = ptys.extract(entry.description_id()))
        found.emplace_back(known.mapped(), i);
  return found;
}

namespace {

const ExternalKind kExternal;

Result<pb::Description> collect_one(CollectContext& context, OpenDescription& description) {
  description.copy = TRY(description.task->get_fd(description.fd()));
  struct statfs fs;
  if (fstatfs(description.copy.get(), &fs) == 0)
    description.fs_type = static_cast<uint64_t>(fs.f_type);

  pb::Description image;
  image.set_id(description.id);
  image.set_flags(description.flags);
  image.set_position(description.position);
  if (external_key(context.options().external, description)) {
    // Its position is its own business.
    image.set_position(0);
    TRY(kExternal.collect(context, description, image));
    return image;
  }
  const auto* kind = kind_for(description);
  if (kind == nullptr) {
    auto reason = disguised_object(description);
    if (reason.empty()) reason = unsupported_reason(description);
    return fail(ErrorKind::kRefused, std::move(reason));
  }
  TRY(collect_locks(context, description, image));
  if (!description.is_path_only()) TRY(collect_owner(context, description.copy.get(), image));
  TRY(kind->collect(context, description, image));
  return image;
}

void add_entries(const OpenDescription& description, std::vector<pb::DescriptorTable>& tables) {
  for (const auto& slot : description.slots) {
    if (slot.table == kNoTable) continue;
    auto& entry = *tables[slot.table].add_entries();
    entry.set_fd(slot.fd.value);
    entry.set_description_id(description.id);
    entry.set_close_on_exec(slot.close_on_exec);
  }
}

// Record locks are set when the last descriptor of the engine is closed: that moment can't be told
// in a table that processes without common memory have.
void refuse_shared_locks(std::span<const TaskHandle* const> tasks,
                         std::span<const pb::Description> descriptions,
                         const CollectOptions& options, Refusals& refusals) {
  std::set<uint32_t> locked;
  for (const auto& description : descriptions)
    for (const auto& lock : description.locks())
      if (lock.sort() == pb::FileLock::POSIX) locked.insert(lock.table_id());
  for (size_t i = 0; i < options.table_leaders.size(); ++i) {
    if (options.leads_table(i)) continue;
    if (locked.contains(FilesCollection::table_id(options.table_leaders[i])))
      refusals.add(tasks[i]->pid(), "",
                   "shares a descriptor table (CLONE_FILES) that holds record locks: that can't be "
                   "checkpointed");
  }
}

}  // namespace

Result<FilesCollection> collect_descriptors(std::span<const TaskHandle* const> tasks,
                                            const CollectOptions& options,
                                            memory::SharedMemoryTable& shared_memory,
                                            Refusals& refusals) {
  const Span span("collect descriptors");
  FilesCollection collection;
  auto& data = collection.data();
  data.tables.resize(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i)
    if (options.leads_table(i)) data.tables[i].set_id(FilesCollection::table_id(i));
  auto descriptions = TRY(read_descriptor_tables(
      tasks, options.engine_fds, [&](size_t task) { return options.leads_table(task); }));
  const auto in_flight = TRY(FilesInFlight::find(descriptions));
  CollectContext context(tasks, options, shared_memory, descriptions, in_flight);
  data.descriptions.reserve(descriptions.size());
  for (auto& description : descriptions) {
    auto image = collect_one(context, description);
    // One copy at a time: a target may have more descriptors than the engine can.
    description.copy.reset();
    if (!image && image.error().kind() == ErrorKind::kRefused) {
      refusals.add(description.holder(), description.place(), image.error().message());
      continue;
    }
    data.descriptions.push_back(TRY_IN(std::move(image), description.label()));
    add_entries(description, data.tables);
  }
  refuse_shared_locks(tasks, data.descriptions, options, refusals);
  data.ghosts = context.take_ghosts();
  data.links = std::move(context.remap_links);
  return collection;
}

Result<void> write_files(const FilesCollection& collection, image::CheckpointWriter& writer) {
  const auto& data = collection.data();
  for (const auto& description : data.descriptions)
    TRY(writer.append(image::FileType::kFiles, description));
  for (const auto& ghost : data.ghosts) TRY(write_ghost(ghost, writer));
  for (const auto& table : data.tables)
    if (table.id() != 0) TRY(writer.append(image::FileType::kFiles, table));
  return {};
}

}  // namespace cryostat::files
