#include "engine/files/proc_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <unistd.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "engine/files/collect_context.h"

namespace cryostat::files {

namespace {

// Takes "<prefix><number>" and the slash after it, if there is one; leaves `text` alone otherwise.
// The directory of a process that is gone reads "/proc/42 (deleted)".
std::optional<int> take_number(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  auto rest = text.substr(prefix.size());
  int number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (error != std::errc() || (!rest.empty() && rest[0] != '/' && rest[0] != ' '))
    return std::nullopt;
  if (!rest.empty()) rest.remove_prefix(1);
  text = rest;
  return number;
}

}  // namespace

bool is_process_file(const std::string& path) {
  std::string_view rest = path;
  return take_number(rest, "/proc/").has_value();
}

Result<void> check_process_file(const CollectContext& context, const OpenDescription& description,
                                const std::string& path) {
  std::string_view rest = path;
  if (description.fs_type != PROC_SUPER_MAGIC) return {};
  const auto owner = take_number(rest, "/proc/");
  if (!owner) return {};
  if (!context.is_member(HostPid(*owner)))
    return fail(ErrorKind::kRefused,
                fmt::format("{}: a file about another process can't be checkpointed", path));
  // What is left of it is there again before descriptors are restored.
  if (context.is_zombie(HostPid(*owner)) && access(path.c_str(), F_OK) == 0 &&
      !UniqueFd(
          open(path.c_str(), (description.flags & (O_PATH | O_DIRECTORY)) | O_RDONLY | O_CLOEXEC)))
    return fail(ErrorKind::kRefused,
                fmt::format("{}: its process has ended, the file can't be opened again", path));
  const auto thread = take_number(rest, "task/");
  if (thread && *thread != *owner)
    return fail(ErrorKind::kRefused,
                fmt::format("{}: a file about a thread can't be checkpointed", path));
  return {};
}

}  // namespace cryostat::files
