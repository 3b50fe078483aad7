#include "engine/files/open_description.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <string_view>

#include "engine/procfs/task_handle.h"

namespace cryostat::files {

bool OpenDescription::is_path_only() const { return (flags & O_PATH) != 0; }

bool OpenDescription::readable() const {
  const auto mode = flags & O_ACCMODE;
  return !is_path_only() && (mode == O_RDONLY || mode == O_RDWR);
}

bool OpenDescription::writable() const {
  const auto mode = flags & O_ACCMODE;
  return !is_path_only() && (mode == O_WRONLY || mode == O_RDWR);
}

std::string OpenDescription::anonymous_inode() const {
  constexpr std::string_view kPrefix = "anon_inode:";
  std::string_view text = link;
  if (!text.starts_with(kPrefix)) return {};
  text.remove_prefix(kPrefix.size());
  // Most are written "[name]", some without brackets ("inotify", "bpf-map").
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  return std::string(text);
}

std::string OpenDescription::place() const {
  if (slots.front().table == kNoTable) return "descriptor in flight on " + carrier;
  return fmt::format("fd {}", fd().value);
}

HostPid OpenDescription::holder() const {
  return slots.front().table == kNoTable ? carrier_pid : task->pid();
}

std::string OpenDescription::label() const { return fmt::format("{} ({})", place(), link); }

}  // namespace cryostat::files
