// Restore half of the descriptor room: runs in the task being restored, still hosted by the engine.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/files/external.h"
#include "proto/wire/restorer_files.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::image {
struct FilesImage;
}

namespace cryostat::files {

// What the descriptors need from other rooms.
struct RestoreInputs {
  // A read-write descriptor of a shared memory object (memory::SharedMemoryFds::read_write), which
  // stays its owner's. kImages when there is none with this id.
  std::function<Result<int>(uint32_t shared_memory_id)> shared_memory_fd;
  // The terminal cr-restore runs in, see find_job_terminal(); negative: none.
  int terminal_fd = -1;
  // What was handed in for external descriptions, by key; not changed, not closed.
  InheritedFds inherited = {};
  // Masters of pseudoterminals that exist already (create_controlling_ptys()), by pty_id.
  std::map<uint32_t, int> pty_masters = {};
  // Both ends of socket pairs that another task has made for this one, by pair_id; they are taken.
  std::map<uint32_t, std::pair<int, int>> lent_pairs = {};
  // Likewise, single sockets: listening ones and what waits in their backlogs; by description.
  std::map<uint32_t, int> lent_sockets = {};
  // BoundNames::room(); empty: no UNIX socket is bound to a path.
  std::string unix_room = {};
};

// Of a checkpoint of one task: opens every description of `image`, moves them to the numbers of
// table `table_id` with sharing, close-on-exec, flags, position and owner, fills pipes and re-adds
// epoll watches. Preconditions: single-threaded; every number of the table is free
// (ServiceFds::close_all_but_service) and below the soft RLIMIT_NOFILE; credentials, root and umask
// are still cr-restore's; process group and session are the target's. Descriptors outside the table
// are left alone. The tasks of a tree do it in steps (task_descriptors.h). Errors: kMachine for
// files that are missing or changed and for missing features.
Result<void> restore_descriptors(const image::FilesImage& image, uint32_t table_id,
                                 const RestoreInputs& inputs);

// The POSIX record locks of the task: the restorer sets them (wire::RestorerPlan::file_locks), when
// the last descriptor of the engine is closed. Locks that belong to a description (flock(2),
// F_OFD_SETLK) come back with it.
std::vector<wire::FileLock> posix_locks(const image::FilesImage& image, uint32_t table_id);

// The numbers the target uses, ascending; service descriptors must keep out of them.
std::vector<int> descriptor_numbers(const image::FilesImage& image, uint32_t table_id);

struct CheckOptions {
  bool shell_job = false;
  int terminal_fd = -1;         // as in RestoreInputs
  InheritedFds inherited = {};  // likewise
};

// Plan: what every description needs of this machine (files with their type and size, the terminal,
// limits). Adds requirements to the report, changes nothing.
void check_files(const image::FilesImage& image, const CheckOptions& options, PlanReport& report);

}  // namespace cryostat::files
