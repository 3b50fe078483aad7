#include "engine/net/socket_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <memory>

namespace cryostat::net {

namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

bool has_open(const std::string& process, const std::string& link) {
  const Folder folder(opendir((process + "/fd").c_str()));
  if (!folder) return false;
  while (const auto* entry = readdir(folder.get())) {
    std::array<char, 64> text;
    const auto length = readlinkat(dirfd(folder.get()), entry->d_name, text.data(), text.size());
    if (length > 0 && link == std::string_view(text.data(), static_cast<size_t>(length)))
      return true;
  }
  return false;
}

std::string name_of(const std::string& process) {
  std::string name;
  std::ifstream file(process + "/comm");
  std::getline(file, name);
  return name;
}

}  // namespace

std::string describe_socket_holder(uint64_t inode) {
  const auto link = fmt::format("socket:[{}]", inode);
  const Folder folder(opendir("/proc"));
  if (!folder) return "no process that can be seen";
  int lowest = 0;
  while (const auto* entry = readdir(folder.get())) {
    const int pid = std::atoi(entry->d_name);
    if (pid > 0 && pid != getpid() && (lowest == 0 || pid < lowest) &&
        has_open(fmt::format("/proc/{}", pid), link))
      lowest = pid;
  }
  if (lowest == 0) return "no process that can be seen";
  return fmt::format("pid {} (`{}`)", lowest, name_of(fmt::format("/proc/{}", lowest)));
}

}  // namespace cryostat::net
