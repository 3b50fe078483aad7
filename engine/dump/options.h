// What a dump is asked to do.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/action_script.h"
#include "engine/base/ids.h"
#include "engine/files/external.h"
#include "engine/image/store_options.h"
#include "engine/memory/increment.h"
#include "engine/memory/snapshot.h"
#include "engine/memory/vma_reader.h"

namespace cryostat::dump {

// What becomes of the target once its checkpoint is complete.
enum class After : uint8_t {
  kKill,          // the default: the process lives on only in the checkpoint
  kLeaveRunning,  // -R
  kLeaveStopped,  // -s: left in a group stop, SIGCONT resumes it
};

// Who moves the pages into pages.img.
enum class Transfer : uint8_t {
  kAuto,      // vm-readv for small targets; for others the parasite where it can, else vm-readv
  kParasite,  // the target writes its own pages
  kVmReadv,   // the engine reads them with process_vm_readv(2) and writes them
};

struct Options {
  std::string images_dir = ".";  // created 0700 when missing
  std::string work_dir;          // logs and statistics; empty: the images dir
  HostPid pid;                   // the task to dump
  After after = After::kKill;
  Transfer transfer = Transfer::kAuto;
  memory::SnapshotMode snapshot = memory::SnapshotMode::kAuto;
  memory::VmaFlagsFrom vma_flags = memory::VmaFlagsFrom::kAuto;
  image::StoreOptions store;
  uint64_t bandwidth_bytes_per_s = 0;  // of what is written while the target runs on; 0: no limit
  memory::IncrementOptions increment;
  bool auto_dedup = false;        // free the pages of ancestors that the checkpoint does not need
  bool dry_run = false;           // collect and report refusals; no image, no change
  bool shell_job = false;         // the task may belong to an outside session and use its terminal
  bool file_locks = false;        // locks on files may be saved
  bool link_remap = false;        // files linked elsewhere only may get a link for the checkpoint
  bool skip_in_flight = false;    // connections that were not accepted yet may be left out
  bool ext_unix_sockets = false;  // datagram UNIX sockets may be connected to others outside
  std::vector<files::ExternalName> external;  // what lies outside and is handed in at the restore
  uint64_t ghost_limit_bytes = 1u << 20;      // largest deleted-but-open file saved in the image
  // Run at pre-dump (nothing was done yet) and post-dump (the checkpoint is complete, the target
  // still frozen, also with After::kLeaveRunning).
  ActionScripts scripts;
  std::string freeze_cgroup;  // folder of a control group that is frozen while the tree is seized
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);  // to reach the freeze
};

}  // namespace cryostat::dump
