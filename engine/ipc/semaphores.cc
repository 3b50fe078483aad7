#include "engine/ipc/semaphores.h"

#include <fmt/format.h>
#include <sys/sem.h>

#include <vector>

#include "engine/base/log.h"
#include "engine/ipc/permission.h"

namespace cryostat::ipc {

namespace {

// semctl(2): the caller defines it.
union Argument {
  int value;
  semid_ds* state;
  unsigned short* values;
};

Failure failed(const char* doing, int id) {
  return fail_errno(fmt::format("{} System V semaphores {}", doing, id));
}

}  // namespace

Result<void> collect_semaphores(pb::IpcNamespace& image) {
  for (const int id : TRY(list_objects("sem"))) {
    semid_ds state = {};
    Argument argument = {};
    argument.state = &state;
    if (semctl(id, 0, IPC_STAT, argument) < 0) return failed("look at", id);
    std::vector<unsigned short> values(state.sem_nsems);
    argument.values = values.data();
    if (semctl(id, 0, GETALL, argument) < 0) return failed("read", id);
    auto& set = *image.add_semaphores();
    set.set_id(id);
    describe(state.sem_perm, *set.mutable_permission());
    for (const auto value : values) set.add_values(value);
    if (state.sem_otime != 0)
      log::warn(
          "System V semaphores {}: if a process wants its operations undone when it ends "
          "(SEM_UNDO), that is not saved: the kernel does not tell",
          id);
  }
  return {};
}

Result<void> create_semaphores(const pb::IpcNamespace& image) {
  for (const pb::SysvSemaphores& set : image.semaphores()) {
    const auto& permission = set.permission();
    TRY(create_object("sem", set.id(), permission, [&] {
      return semget(permission.key(), set.values_size(),
                    static_cast<int>(permission.mode() & 0777) | IPC_CREAT | IPC_EXCL);
    }));
    std::vector<unsigned short> values(set.values().begin(), set.values().end());
    Argument argument = {};
    argument.values = values.data();
    if (semctl(set.id(), 0, SETALL, argument) < 0) return failed("set", set.id());
    semid_ds state = {};
    argument.state = &state;
    fill_in(permission, state.sem_perm);
    if (semctl(set.id(), 0, IPC_SET, argument) < 0) return failed("set the owner of", set.id());
  }
  return {};
}

}  // namespace cryostat::ipc
