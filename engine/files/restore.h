// Restore half of the descriptor room: runs in the task being restored, still hosted by the engine.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_set>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::image {
struct FilesImage;
}

namespace cryostat::files {

// What the descriptors need from other rooms.
struct RestoreInputs {
  // A descriptor of a shared memory object (memfd, deleted mapped file), stays owned by its owner;
  // negative when there is none with this id.
  std::function<int(uint32_t shared_memory_id)> shared_memory_fd;
  // The terminal cr-restore runs in, see find_job_terminal(); negative: none.
  int terminal_fd = -1;
};

// Opens every description of `image`, moves them to the numbers of table `table_id` with sharing,
// close-on-exec, flags, position and owner, fills pipes and re-adds epoll watches.
// Preconditions: single-threaded; no descriptor that is still needed sits at a number of the
// table (what is there is replaced); credentials are still cr-restore's; the root and
// working directory too. Descriptors outside the table are left alone. Raises this process's soft
// RLIMIT_NOFILE when the table needs it.
// Errors: kMachine for files that are missing or changed and for missing features.
Result<void> restore_descriptors(const image::FilesImage& image, uint32_t table_id,
                                 const RestoreInputs& inputs);

// What the target uses: numbers that service descriptors must keep out of.
std::unordered_set<int> descriptor_numbers(const image::FilesImage& image, uint32_t table_id);

struct CheckOptions {
  bool shell_job = false;
  int terminal_fd = -1;  // as in RestoreInputs
};

// Plan: what every description needs of this machine (files with their type and size, the terminal,
// limits). Adds requirements to the report, changes nothing.
void check_files(const image::FilesImage& image, const CheckOptions& options, PlanReport& report);

}  // namespace cryostat::files
