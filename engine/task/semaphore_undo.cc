#include "engine/task/semaphore_undo.h"

#include <sys/sem.h>

#include <algorithm>
#include <string>

#include "engine/base/log.h"
#include "engine/procfs/task_handle.h"
#include "engine/procfs/text_cursor.h"

namespace cryostat::task {

namespace {

// The first of `pids` that operated last on one of the semaphores; 0: none did.
pid_t last_user(int id, int count, std::span<const pid_t> pids) {
  for (int number = 0; number < count; ++number) {
    const pid_t pid = semctl(id, number, GETPID);
    if (pid > 0 && std::find(pids.begin(), pids.end(), pid) != pids.end()) return pid;
  }
  return 0;
}

}  // namespace

Result<void> warn_about_semaphores(std::span<const pid_t> pids) {
  const auto folder = ProcDir::open("/proc/sysvipc");
  if (!folder) return {};  // a kernel without them
  const std::string text = TRY(folder->read("sem"));
  procfs::TextCursor lines(text);
  lines.line();  // titles
  while (!lines.at_end()) {
    procfs::TextCursor line(lines.line());
    int64_t key = 0;
    int id = 0;
    unsigned permissions = 0;
    int count = 0;
    if (!line.next_number(key) || !line.next_number(id) || !line.next_number(permissions, 8) ||
        !line.next_number(count))
      continue;
    if (const pid_t pid = last_user(id, count, pids); pid != 0)
      log::warn(
          "pid {} has operated on System V semaphore set {} (key {:#x}): what it would have undone "
          "at its exit (SEM_UNDO) can't be seen and is not saved",
          pid, id, static_cast<uint32_t>(key));
  }
  return {};
}

}  // namespace cryostat::task
