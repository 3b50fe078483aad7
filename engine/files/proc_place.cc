#include "engine/files/proc_place.h"

#include <fmt/format.h>
#include <linux/magic.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "engine/procfs/task_handle.h"

namespace cryostat::files {

namespace {

// A number that is the whole first component of `path`, which is cut off with its slash.
std::optional<int> take_number(std::string_view& path) {
  int number = 0;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), number);
  if (error != std::errc() || (end != path.data() + path.size() && *end != '/'))
    return std::nullopt;
  path.remove_prefix(static_cast<size_t>(end - path.data()));
  if (!path.empty()) path.remove_prefix(1);
  return number;
}

// The task `path` is about; the rest of the path goes into `rest`.
std::optional<int> task_of(std::string_view path, std::string_view& rest) {
  constexpr std::string_view kProc = "/proc/";
  if (!path.starts_with(kProc)) return std::nullopt;
  rest = path.substr(kProc.size());
  return take_number(rest);
}

}  // namespace

Result<void> check_proc_place(const OpenDescription& description, const std::string& path) {
  if (description.fs_type != PROC_SUPER_MAGIC) return {};
  std::string_view rest;
  const auto owner = task_of(path, rest);
  if (!owner) return {};
  const int pid = description.task->pid().value;
  if (*owner != pid)
    return fail(ErrorKind::kRefused,
                fmt::format("{}: a file about another process can't be checkpointed", path));
  constexpr std::string_view kTask = "task/";
  if (!rest.starts_with(kTask)) return {};
  rest.remove_prefix(kTask.size());
  if (take_number(rest) == pid) return {};
  return fail(ErrorKind::kRefused,
              fmt::format("{}: a file about a thread can't be checkpointed yet", path));
}

bool is_in_task_folder(const std::string& path) {
  std::string_view rest;
  return task_of(path, rest).has_value();
}

}  // namespace cryostat::files
