#include "engine/procfs/auxv.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>

namespace cryostat::procfs {

namespace {
// The kernel's saved_auxv holds far fewer than this many bytes.
constexpr size_t kMaxAuxvBytes = 4096;
}  // namespace

Result<std::vector<AuxEntry>> parse_auxv(std::string_view bytes) {
  if (bytes.size() > kMaxAuxvBytes || bytes.size() % sizeof(AuxEntry) != 0) {
    return fail(ErrorKind::kFailed,
                fmt::format("auxv of {} bytes is not a 64-bit auxiliary vector", bytes.size()));
  }
  std::vector<AuxEntry> entries;
  for (size_t at = 0; at < bytes.size(); at += sizeof(AuxEntry)) {
    AuxEntry entry;
    std::memcpy(&entry, bytes.data() + at, sizeof(entry));
    if (entry.type == AT_NULL) break;
    entries.push_back(entry);
  }
  return entries;
}

std::optional<uint64_t> find_aux(const std::vector<AuxEntry>& entries, uint64_t type) {
  for (const AuxEntry& entry : entries) {
    if (entry.type == type) return entry.value;
  }
  return std::nullopt;
}

}  // namespace cryostat::procfs
