#include "engine/memory/fork_headroom.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

#include "engine/base/ids.h"
#include "engine/procfs/meminfo.h"
#include "engine/procfs/statm.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

// Where control groups are mounted by convention; where they are not, their limits are not seen and
// the kernel's own answer to the fork has to do.
struct Hierarchy {
  std::string_view root;
  std::string_view limit_file;
  std::string_view usage_file;
  std::string_view reclaimable_key;  // in memory.stat
};
constexpr Hierarchy kUnified = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};
constexpr Hierarchy kMemory = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                               "memory.usage_in_bytes", "total_inactive_file"};

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// "max" and anything else that is no number: nullopt.
std::optional<uint64_t> first_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

uint64_t value_of(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  std::string name;
  uint64_t value = 0;
  while (lines >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

uint64_t headroom_of_group(const Hierarchy& hierarchy, const std::string& directory) {
  const auto limit_text = read_text(fmt::format("{}/{}", directory, hierarchy.limit_file));
  const auto usage_text = read_text(fmt::format("{}/{}", directory, hierarchy.usage_file));
  if (!limit_text || !usage_text) return kNoLimit;
  const auto limit = first_number(*limit_text);
  const auto usage = first_number(*usage_text);
  if (!limit || !usage) return kNoLimit;
  const auto stat = read_text(directory + "/memory.stat");
  return cgroup_headroom(*limit, *usage, stat ? value_of(*stat, hierarchy.reclaimable_key) : 0);
}

// The group and all groups above it.
uint64_t headroom_of_path(const Hierarchy& hierarchy, std::string path) {
  uint64_t least = kNoLimit;
  for (;;) {
    const std::string directory = std::string(hierarchy.root) + path;
    least = std::min(least, headroom_of_group(hierarchy, directory));
    const size_t slash = path.rfind('/');
    if (path.size() <= 1 || slash == std::string::npos) return least;
    path.resize(slash);
  }
}

// Lines "hierarchy:controllers:path" of /proc/<pid>/cgroup (cgroups(7)).
uint64_t read_cgroup_headroom(const std::string& text) {
  uint64_t least = kNoLimit;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") least = std::min(least, headroom_of_path(kUnified, path));
    if (controllers.find(",memory,") != std::string::npos)
      least = std::min(least, headroom_of_path(kMemory, path));
  }
  return least;
}

std::string too_little(std::string_view what, uint64_t need, uint64_t left) {
  return fmt::format("{} leaves {} MiB, a copy may need {} MiB", what, left >> 20, need >> 20);
}

}  // namespace

Result<ForkNeed> read_fork_need(const TaskHandle& task) {
  const auto statm = TRY(procfs::parse_statm(TRY(task.proc().read("statm"))));
  ForkNeed need;
  need.private_bytes = statm.private_pages() * kPageSize;
  // An upper bound: mappings of files and MAP_NORESERVE memory are not promised.
  need.accounted_bytes = statm.size_pages * kPageSize;
  return need;
}

Result<ForkHeadroom> read_fork_headroom(const TaskHandle& task) {
  ForkHeadroom headroom;
  if (const auto text = read_text("/proc/meminfo")) {
    const auto meminfo = TRY(procfs::parse_meminfo(*text));
    headroom.available_bytes = meminfo.available_bytes + meminfo.swap_free_bytes;
    const auto mode = read_text("/proc/sys/vm/overcommit_memory");
    if (mode && mode->starts_with('2')) {
      headroom.commit_bytes = meminfo.commit_limit_bytes > meminfo.committed_bytes
                                  ? meminfo.commit_limit_bytes - meminfo.committed_bytes
                                  : 0;
    }
  }
  if (const auto text = task.proc().read("cgroup")) {
    headroom.cgroup_bytes = read_cgroup_headroom(*text);
  }
  return headroom;
}

uint64_t cgroup_headroom(uint64_t limit, uint64_t usage, uint64_t reclaimable) {
  constexpr uint64_t kUnlimited = uint64_t{1} << 60;  // cgroup v1 says "no limit" with a number
  if (limit >= kUnlimited) return kNoLimit;
  const uint64_t used = usage > reclaimable ? usage - reclaimable : 0;
  return limit > used ? limit - used : 0;
}

std::string why_fork_does_not_fit(const ForkNeed& need, const ForkHeadroom& headroom) {
  const auto fits = [](uint64_t bytes, uint64_t left) { return bytes + bytes / 8 <= left; };
  if (!fits(need.private_bytes, headroom.available_bytes))
    return too_little("the memory of this machine", need.private_bytes, headroom.available_bytes);
  if (!fits(need.private_bytes, headroom.cgroup_bytes))
    return too_little("the memory limit of its control group", need.private_bytes,
                      headroom.cgroup_bytes);
  if (!fits(need.accounted_bytes, headroom.commit_bytes))
    return too_little("the commit limit (vm.overcommit_memory is 2)", need.accounted_bytes,
                      headroom.commit_bytes);
  return {};
}

}  // namespace cryostat::memory
