// What the three sorts of System V objects have in common (svipc(7)): numbers, keys, owners.
#pragma once

#include <sys/ipc.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "proto/ipc.pb.h"

namespace cryostat::ipc {

void describe(const ipc_perm& permission, pb::IpcPermission& image);
// Owner and mode, for IPC_SET.
void fill_in(const pb::IpcPermission& image, ipc_perm& permission);

// The numbers of all objects of one sort ("shm", "sem", "msg") in the caller's IPC namespace, from
// /proc/sysvipc (5).
Result<std::vector<int>> list_objects(const std::string& sort);

// Makes an object that gets this number (/proc/sys/kernel/SORT_next_id, which needs
// CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN), as its creator. `get` is the call that makes it.
Result<void> create_object(const std::string& sort, int id, const pb::IpcPermission& permission,
                           const std::function<int()>& get);

}  // namespace cryostat::ipc
