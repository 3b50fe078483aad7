#include "engine/files/task_descriptors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "engine/files/file_locks.h"
#include "engine/files/kind.h"
#include "engine/files/owner.h"

namespace cryostat::files {

namespace {

// What F_SETFL can change (fcntl(2)).
constexpr uint32_t kSettable = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_ASYNC;

Result<const DescriptorKind*> kind_of(const pb::Description& description) {
  if (const auto* kind = kind_for(description)) return kind;
  return fail(ErrorKind::kImages,
              fmt::format("description {} is of a kind this build doesn't know", description.id()));
}

Result<void> set_position(int fd, const pb::Description& description) {
  if (description.position() == 0 || (description.flags() & O_PATH) != 0) return {};
  if (lseek(fd, description.position(), SEEK_SET) < 0)
    return fail_errno(fmt::format("set position {}", description.position()));
  return {};
}

Result<void> set_flags(int fd, const pb::Description& description) {
  if ((description.flags() & O_PATH) != 0) return {};
  TRY(restore_owner(fd, description));
  const int now = fcntl(fd, F_GETFL);
  if (now < 0) return fail_errno("F_GETFL");
  const auto wanted = description.flags() & kSettable;
  if ((static_cast<uint32_t>(now) & kSettable) != wanted &&
      fcntl(fd, F_SETFL, static_cast<int>(wanted)) != 0)
    return fail_errno(fmt::format("F_SETFL {:#o}", wanted));
  return {};
}

// Puts `fd` at every number of its description; `fd` itself is one of them or is closed.
Result<void> put(UniqueFd fd, const std::vector<const pb::DescriptorEntry*>& entries) {
  bool at_home = false;
  for (const auto* entry : entries) {
    const int close_on_exec = entry->close_on_exec() ? O_CLOEXEC : 0;
    if (entry->fd() == fd.get()) {
      at_home = true;
      if (fcntl(fd.get(), F_SETFD, close_on_exec != 0 ? FD_CLOEXEC : 0) != 0)
        return fail_errno("F_SETFD");
    } else if (dup3(fd.get(), entry->fd(), close_on_exec) < 0) {
      return fail_errno(fmt::format("duplicate to descriptor {}", entry->fd()));
    }
  }
  if (at_home) (void)fd.release();
  return {};
}

}  // namespace

Result<TaskDescriptors> TaskDescriptors::create(const image::FilesImage& image,
                                                const DescriptionOwners& owners, uint32_t table_id,
                                                const RestoreInputs& inputs) {
  const auto* table = image.table(table_id);
  if (table == nullptr)
    return fail(ErrorKind::kImages, fmt::format("there is no descriptor table {}", table_id));
  Homes homes;
  for (const auto& entry : table->entries()) homes[entry.description_id()].push_back(&entry);
  for (auto& [id, entries] : homes) {
    std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return a->fd() < b->fd(); });
  }
  return TaskDescriptors(image, owners, table_id, inputs, std::move(homes),
                         descriptor_numbers(image, table_id));
}

TaskDescriptors::TaskDescriptors(const image::FilesImage& image, const DescriptionOwners& owners,
                                 uint32_t table_id, const RestoreInputs& inputs, Homes homes,
                                 const std::vector<int>& numbers)
    : image_(image),
      owners_(owners),
      table_id_(table_id),
      homes_(std::move(homes)),
      context_(image, inputs, numbers) {}

std::string TaskDescriptors::describe(const pb::Description& description,
                                      const DescriptorKind& kind) const {
  const auto home = homes_.find(description.id());
  if (home == homes_.end())
    return fmt::format("description {} ({})", description.id(), kind.name());
  return fmt::format("descriptor {} ({})", home->second.front()->fd(), kind.name());
}

Result<UniqueFd> TaskDescriptors::open(const DescriptorKind& kind,
                                       const pb::Description& description) {
  auto fd = TRY(kind.restore(context_, description));
  TRY(set_position(fd.get(), description));
  TRY(set_flags(fd.get(), description));
  TRY(restore_locks(fd.get(), description));
  return fd;
}

int TaskDescriptors::home_of(uint32_t description) const {
  const auto home = homes_.find(description);
  return home == homes_.end() ? -1 : home->second.front()->fd();
}

Result<void> TaskDescriptors::for_each_object(std::vector<uint32_t> ids, const Step& step) {
  owners_.sort_by_object(ids);
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto& description = image_.description(ids[i]);
    const auto* kind = TRY(kind_of(description));
    TRY_IN(step(*kind, description), describe(description, *kind));
    if (i + 1 == ids.size() || owners_.object(ids[i]) != owners_.object(ids[i + 1]))
      context_.release_objects();
  }
  return {};
}

Result<void> TaskDescriptors::open_shared(std::span<int> numbers) {
  const std::vector<uint32_t>& ids = owners_.shared_of(table_id_);
  TRY(for_each_object(ids, [&](const auto& kind, const auto& description) -> Result<void> {
    const uint32_t id = description.id();
    auto fd = TRY(open(kind, description));
    numbers[id] = TRY(context_.hold(id, std::move(fd), home_of(id)));
    return {};
  }));
  for (const uint32_t id : ids) {
    const auto& description = image_.description(id);
    const auto* kind = TRY(kind_of(description));
    TRY_IN(kind->finish(context_, description, numbers[id]), describe(description, *kind));
  }
  return {};
}

Result<void> TaskDescriptors::fetch(std::span<const int> numbers, const Fetch& get) {
  for (const auto& [id, entries] : homes_) {
    if (owners_.owner(id) == table_id_) continue;
    TRY(context_.hold(id, TRY(get(owners_.owner(id), numbers[id])), entries.front()->fd()));
  }
  return {};
}

Result<void> TaskDescriptors::place_one(const pb::Description& description, const Home& entries) {
  if (owners_.is_shared(description.id()))
    return put(context_.release_held(description.id()), entries);
  const auto* kind = TRY(kind_of(description));
  return put(TRY(open(*kind, description)), entries);
}

Result<void> TaskDescriptors::finish_private() {
  for (const auto& [id, entries] : homes_) {
    if (owners_.is_shared(id)) continue;
    const auto& description = image_.description(id);
    const auto* kind = TRY(kind_of(description));
    TRY_IN(kind->finish(context_, description, entries.front()->fd()),
           describe(description, *kind));
  }
  return {};
}

Result<void> TaskDescriptors::place() {
  std::vector<uint32_t> ids;
  for (const auto& [id, entries] : homes_) ids.push_back(id);
  // A new descriptor takes the lowest free number and leaves it for its home; what stays for longer
  // is at numbers that the target doesn't use (RestoreContext::keep).
  TRY(for_each_object(ids, [this](const auto&, const auto& description) {
    return place_one(description, homes_.at(description.id()));
  }));
  context_.release_all_held();
  // Every pidfd of them is there; the task must not have a zombie more than it had.
  context_.gone_processes.clear();
  return finish_private();
}

}  // namespace cryostat::files
