#include "engine/restore/descriptor_room.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace cryostat::restore {

namespace {

// The channel to cr-restore, what one kind's call opens for a moment, the reader of /proc.
constexpr uint64_t kMomentary = 24;
// A path of the object, and one open for each access mode (memory::SharedMemoryFds).
constexpr uint64_t kPerObject = 3;

// Descriptors of one table at the busiest moment.
struct TableNeeds {
  uint64_t own = 0;      // numbers of the table
  int64_t highest = -1;  // of them
  uint64_t opened_for_others = 0;
  uint64_t kept_ends = 0;  // of what stays open until all are there
};

using Needs = std::unordered_map<uint32_t, TableNeeds>;  // by table id

// Pseudoterminals, and sockets with descriptors in flight, are finished last.
uint64_t kept_ends(const pb::Description& description) {
  const bool in_flight = std::any_of(
      description.unix_socket_pair().queue().begin(), description.unix_socket_pair().queue().end(),
      [](const auto& message) { return message.description_ids_size() != 0; });
  // One that controls a session was opened by cr-restore.
  if (description.pty().state().session() != 0) return 3;
  if (in_flight || (description.has_pty() && description.pty().end() == pb::Pty::MASTER)) return 2;
  return 0;
}

Needs needs_of(const image::FilesImage& files, const files::DescriptionOwners& owners) {
  Needs needs;
  std::vector<bool> at_home(files.descriptions.size() + 1);  // has a number where it is opened
  for (const auto& table : files.tables) {
    auto& of_table = needs[table.id()];
    of_table.own = static_cast<uint64_t>(table.entries_size());
    for (const auto& entry : table.entries()) {
      of_table.highest = std::max<int64_t>(of_table.highest, entry.fd());
      if (owners.owner(entry.description_id()) == table.id())
        at_home[entry.description_id()] = true;
    }
  }
  for (const auto& description : files.descriptions) {
    const uint32_t id = description.id();
    auto& of_owner = needs[owners.owner(id)];
    if (!at_home[id]) ++of_owner.opened_for_others;
    of_owner.kept_ends += kept_ends(description);
  }
  return needs;
}

uint64_t mapped_files(const image::AddressSpaceImage& space) {
  std::unordered_set<uint32_t> ids;
  for (const auto& vma : space.vmas)
    if (vma.backing() == pb::Vma::FILE) ids.insert(vma.file_id());
  return ids.size() + 1;  // the executable
}

}  // namespace

void check_descriptor_room(const image::CheckpointImages& images,
                           const files::DescriptionOwners& descriptions,
                           const ObjectOwners& objects, const HandedDown& handed,
                           PlanReport& report) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const char* const hint = "raise the hard limit (ulimit -Hn) of the shell that runs cr-restore";
  const Needs needs = needs_of(images.files, descriptions);
  for (size_t i = 0; i < images.tasks.tasks.size(); ++i) {
    const auto& task = images.tasks.tasks[i].task;
    const auto* space = images.mm.space(task.address_space_id());
    const auto of_table = needs.find(task.descriptor_table_id());
    if (task.has_zombie() || space == nullptr || of_table == needs.end()) continue;
    const auto& [own, highest, opened_for_others, kept] = of_table->second;
    const auto subject = fmt::format("descriptors of pid {}", task.pid());
    if (highest >= 0 && static_cast<rlim_t>(highest) >= limit.rlim_max) {
      report.missing(subject,
                     fmt::format("descriptor {} is not below the hard limit of {} open files",
                                 highest, limit.rlim_max),
                     hint);
      continue;
    }
    const uint64_t beside = opened_for_others + kept + mapped_files(*space) +
                            kPerObject * objects.used_by(i).size() + 2 * handed.page_stores +
                            handed.inherited + kMomentary;
    if (own + beside > limit.rlim_max)
      report.missing(subject,
                     fmt::format("it has {} open files and needs up to {} more while it is "
                                 "restored; the hard limit is {} open files",
                                 own, beside, limit.rlim_max),
                     hint);
  }
}

}  // namespace cryostat::restore
