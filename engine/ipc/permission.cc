#include "engine/ipc/permission.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "engine/net/stand_in.h"

namespace cryostat::ipc {

void describe(const ipc_perm& permission, pb::IpcPermission& image) {
  image.set_key(permission.__key);
  image.set_uid(permission.uid);
  image.set_gid(permission.gid);
  image.set_creator_uid(permission.cuid);
  image.set_creator_gid(permission.cgid);
  image.set_mode(permission.mode & 0777);
}

void fill_in(const pb::IpcPermission& image, ipc_perm& permission) {
  permission.uid = image.uid();
  permission.gid = image.gid();
  permission.mode = static_cast<decltype(permission.mode)>(image.mode() & 0777);
}

Result<std::vector<int>> list_objects(const std::string& sort) {
  std::ifstream file("/proc/sysvipc/" + sort);
  std::vector<int> ids;
  std::string line;
  std::getline(file, line);  // the names of the columns
  if (!file) return fail(ErrorKind::kFailed, fmt::format("/proc/sysvipc/{} can't be read", sort));
  while (std::getline(file, line)) {
    int key = 0, id = 0;
    if (std::sscanf(line.c_str(), "%d %d", &key, &id) != 2)
      return fail(ErrorKind::kFailed, fmt::format("/proc/sysvipc/{}: `{}`", sort, line));
    ids.push_back(id);
  }
  return ids;
}

Result<void> create_object(const std::string& sort, int id, const pb::IpcPermission& permission,
                           const std::function<int()>& get) {
  const std::string path = fmt::format("/proc/sys/kernel/{}_next_id", sort);
  std::ofstream next(path);
  if (!(next << id << std::flush))
    return fail(ErrorKind::kMachine,
                fmt::format("{} can't be set to {}: a number of a System V object can't be chosen",
                            path, id));
  next.close();
  const auto creator =
      TRY(net::BorrowedIdentity::take(permission.creator_uid(), permission.creator_gid(), {}));
  const int made = get();
  if (made < 0) return fail_errno(fmt::format("create System V object {} {}", sort, id));
  if (made != id)
    return fail(ErrorKind::kMachine,
                fmt::format("System V object {} {} came back as {}", sort, id, made));
  return {};
}

}  // namespace cryostat::ipc
