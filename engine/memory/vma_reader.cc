#include "engine/memory/vma_reader.h"

#include <fmt/format.h>

#include <utility>

#include "engine/base/log.h"
#include "engine/base/span.h"
#include "engine/memory/vm_flags_samples.h"
#include "engine/procfs/statm.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

using procfs::SmapsEntry;
using procfs::VmFlags;

// From here on reading smaps takes longer than 3 ms of freeze. Loading the iterator takes 50 ms,
// but before the freeze.
constexpr uint64_t kManyPages = (uint64_t{256} << 20) / kPageSize;
constexpr size_t kManyTasks = 256;

}  // namespace

Result<bool> VmaReader::is_worth_it(std::span<const TaskHandle* const> tasks) const {
  if (from_ != VmaFlagsFrom::kAuto) return from_ == VmaFlagsFrom::kBpf;
  if (tasks.size() >= kManyTasks) return true;
  uint64_t pages = 0;
  for (const TaskHandle* task : tasks) {
    const auto text = task->proc().read("statm");
    if (!text && task != tasks.front()) continue;  // it has ended in the meantime
    pages += TRY(procfs::parse_statm(TRY(text))).resident_pages;
  }
  return pages >= kManyPages;
}

Result<void> VmaReader::prepare(std::span<const TaskHandle* const> tasks) {
  if (!TRY(is_worth_it(tasks))) return {};
  const Span span("prepare: VMA flags");
  const auto loaded = load();
  if (loaded) return {};
  const std::string text =
      fmt::format("the flags of mappings are read from smaps: {}", loaded.error().message());
  if (from_ == VmaFlagsFrom::kBpf)
    log::warn("{}", text);
  else
    log::info("{}", text);
  return {};
}

Result<void> VmaReader::load() {
  auto iterator = TRY(kernel::VmaIterator::load());
  key_.emplace(TRY(sample_vm_flags(iterator)));
  iterator_.emplace(std::move(iterator));
  return {};
}

void VmaReader::request(const TaskHandle& task) {
  if (!iterator_) smaps_.request(task);
}

Result<std::vector<SmapsEntry>> VmaReader::take(const TaskHandle& task) {
  if (iterator_) {
    auto areas = read_by_bpf(task);
    if (areas && *areas) return std::move(**areas);
    if (!areas) log::info("{}", areas.error().message());
  }
  return smaps_.take(task);
}

Result<std::optional<std::vector<SmapsEntry>>> VmaReader::read_by_bpf(
    const TaskHandle& task) const {
  const Span span("read VMA flags");
  const auto maps = TRY(procfs::parse_maps(TRY(task.proc().read("maps"))));
  const auto words = TRY(iterator_->read(task.pid()));
  std::vector<SmapsEntry> areas;
  areas.reserve(maps.size());
  auto word = words.begin();
  for (const procfs::MapsEntry& entry : maps) {
    SmapsEntry& area = areas.emplace_back();
    static_cast<procfs::MapsEntry&>(area) = entry;
    area.counted = false;
    if (entry.name == "[vsyscall]") continue;  // no mapping of the task's: of the kernel's
    if (word == words.end() || word->start != entry.start || word->end != entry.end)
      return fail(ErrorKind::kFailed,
                  fmt::format("pid {}: the mappings are listed in two ways", task.pid().value));
    const auto flags = key_->flags_of(word->flags);
    // Sizes of huge pages and keys are printed beside the flags.
    if (!flags || flags->has(VmFlags::kHugeTlb)) {
      log::info("pid {}: flags {:#x} of {:x}-{:x} are looked up in smaps", task.pid().value,
                word->flags, entry.start, entry.end);
      return std::nullopt;
    }
    area.flags = *flags;
    ++word;
  }
  return areas;
}

}  // namespace cryostat::memory
