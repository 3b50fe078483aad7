// Locks on files: of the process (POSIX record locks) and of a description (OFD locks, flock(2)).
#pragma once

#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "proto/wire/restorer_files.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::pb {
class Description;
class FileLock;
}  // namespace cryostat::pb

namespace cryostat::files {

class CheckContext;
class CollectContext;
struct OpenDescription;

// "1: POSIX  ADVISORY  WRITE 42 08:01:1234 0 EOF", the text after "lock:" in fdinfo. kRefused, with
// the reason only, for leases that are being broken and sorts of locks this build doesn't know.
Result<pb::FileLock> parse_lock(std::string_view text);

// Fills `locks`; kRefused unless they may be saved (CollectOptions::file_locks). A record lock
// shows at every descriptor its process has of the file; it is written with the first description
// of that process that is open in a way the lock needs.
Result<void> collect_locks(const CollectContext& context, const OpenDescription& description,
                           pb::Description& image);

// Requires that nobody else holds a lock in the way, and that a locked file was not changed
// meanwhile: while there was no target, there was no lock either.
void check_locks(CheckContext& context, const pb::Description& image, PlanReport& report);

// Takes the locks that belong to the description behind `fd`, without waiting; record locks are
// left for the restorer. kMachine when somebody else has one.
Result<void> restore_locks(int fd, const pb::Description& image);

// Appends the record locks that the tasks of one table have through this description, to be set
// through descriptor `fd`.
void append_posix_locks(int fd, uint32_t table_id, const pb::Description& image,
                        std::vector<wire::FileLock>& locks);

}  // namespace cryostat::files
