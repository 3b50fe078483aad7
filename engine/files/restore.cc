#include "engine/files/restore.h"

#include <algorithm>

#include "engine/files/file_locks.h"
#include "engine/files/kind.h"
#include "engine/files/restore_context.h"
#include "engine/files/task_descriptors.h"

namespace cryostat::files {

namespace {

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

}  // namespace

std::vector<wire::FileLock> posix_locks(const image::FilesImage& image, uint32_t table_id) {
  std::vector<wire::FileLock> locks;
  const auto* table = image.table(table_id);
  if (table == nullptr) return locks;
  const auto homes = homes_of(image, *table);
  for (const auto& description : image.descriptions) {
    const auto& entries = homes[description.id() - 1];
    if (!entries.empty()) append_posix_locks(entries.front()->fd(), table_id, description, locks);
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
  const DescriptionOwners owners(image);
  auto descriptors = TRY(TaskDescriptors::create(image, owners, table_id, inputs));
  std::vector<int> numbers(image.descriptions.size() + 1, -1);
  TRY(descriptors.open_shared(numbers));
  return descriptors.place();
}

void check_files(const image::FilesImage& image, const CheckOptions& options, PlanReport& report) {
  CheckContext context(image, options);
  for (const auto& description : image.descriptions) {
    if (const auto* kind = kind_for(description)) kind->check(context, description, report);
    check_locks(context, description, report);
  }
}

}  // namespace cryostat::files
