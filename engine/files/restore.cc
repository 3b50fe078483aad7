#include "engine/files/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "engine/files/file_locks.h"
#include "engine/files/kind.h"
#include "engine/files/owner.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

namespace {

// What F_SETFL can change (fcntl(2)).
constexpr uint32_t kSettable = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_ASYNC;

// Numbers of each description, lowest first; element n-1 belongs to id n.
using Homes = std::vector<std::vector<const pb::DescriptorEntry*>>;

Homes homes_of(const image::FilesImage& image, const pb::DescriptorTable& table) {
  Homes homes(image.descriptions.size());
  for (const auto& entry : table.entries()) homes[entry.description_id() - 1].push_back(&entry);
  for (auto& entries : homes) {
    std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return a->fd() < b->fd(); });
  }
  return homes;
}

std::string describe(const pb::DescriptorEntry& entry, const DescriptorKind& kind) {
  return fmt::format("descriptor {} ({})", entry.fd(), kind.name());
}

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
Result<void> place(UniqueFd fd, const std::vector<const pb::DescriptorEntry*>& entries) {
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

Result<void> restore_one(RestoreContext& context, const DescriptorKind& kind,
                         const pb::Description& description,
                         const std::vector<const pb::DescriptorEntry*>& entries) {
  auto fd = TRY(kind.restore(context, description));
  TRY(set_position(fd.get(), description));
  TRY(set_flags(fd.get(), description));
  TRY(restore_locks(fd.get(), description));
  return place(std::move(fd), entries);
}

}  // namespace

std::vector<wire::FileLock> posix_locks(const image::FilesImage& image, uint32_t table_id) {
  std::vector<wire::FileLock> locks;
  const auto* table = image.table(table_id);
  if (table == nullptr) return locks;
  const auto homes = homes_of(image, *table);
  for (const auto& description : image.descriptions) {
    const auto& entries = homes[description.id() - 1];
    if (!entries.empty()) append_posix_locks(entries.front()->fd(), description, locks);
  }
  return locks;
}

std::vector<int> descriptor_numbers(const image::FilesImage& image, uint32_t table_id) {
  std::vector<int> numbers;
  if (const auto* table = image.table(table_id)) {
    for (const auto& entry : table->entries()) numbers.push_back(entry.fd());
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<void> restore_descriptors(const image::FilesImage& image, uint32_t table_id,
                                 const RestoreInputs& inputs) {
  const auto* table = image.table(table_id);
  if (table == nullptr)
    return fail(ErrorKind::kImages, fmt::format("there is no descriptor table {}", table_id));
  const auto numbers = descriptor_numbers(image, table_id);
  const auto homes = homes_of(image, *table);
  {
    RestoreContext context(image, inputs, numbers);
    // Ascending homes: a new descriptor takes the lowest free number, which no earlier one can need
    // and which is free again before a later one does.
    for (const auto& description : image.descriptions) {
      const auto& entries = homes[description.id() - 1];
      if (entries.empty()) continue;
      const auto* kind = TRY(kind_of(description));
      TRY_IN(restore_one(context, *kind, description, entries), describe(*entries.front(), *kind));
    }
    for (const auto& description : image.descriptions) {
      const auto& entries = homes[description.id() - 1];
      if (entries.empty()) continue;
      const auto* kind = TRY(kind_of(description));
      TRY_IN(kind->finish(context, description, entries.front()->fd()),
             describe(*entries.front(), *kind));
    }
  }
  return {};
}

void check_files(const image::FilesImage& image, const CheckOptions& options, PlanReport& report) {
  CheckContext context(image, options);
  for (const auto& description : image.descriptions) {
    if (const auto* kind = kind_for(description)) kind->check(context, description, report);
    check_locks(context, description, report);
  }
}

}  // namespace cryostat::files
