#include "engine/files/restore.h"

#include <algorithm>
#include <map>

#include "engine/files/file_locks.h"
#include "engine/files/kind.h"
#include "engine/files/restore_context.h"
#include "engine/files/task_descriptors.h"

namespace cryostat::files {

std::vector<wire::FileLock> posix_locks(const image::FilesImage& image, uint32_t table_id) {
  std::vector<wire::FileLock> locks;
  const auto* table = image.table(table_id);
  if (table == nullptr) return locks;
  std::map<uint32_t, int> lowest;  // number of each description
  for (const auto& entry : table->entries()) {
    const int number = lowest.emplace(entry.description_id(), entry.fd()).first->second;
    if (entry.fd() < number) lowest[entry.description_id()] = entry.fd();
  }
  for (const auto& [id, fd] : lowest)
    append_posix_locks(fd, table_id, image.description(id), locks);
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
