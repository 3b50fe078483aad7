// What a restore is asked to do.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/action_script.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/files/external.h"

namespace cryostat::restore {

// How the vDSO comes back; the choice exists so that each path can be measured and tested alone.
enum class VdsoMode : uint8_t {
  kAuto,      // move when the images' vDSO is this kernel's, re-target otherwise
  kMove,      // this kernel's vDSO and vvar are moved to the old address
  kRetarget,  // the old vDSO's code stays, its entries jump into this kernel's
};

struct Options {
  std::string images_dir = ".";
  std::string work_dir;        // logs and statistics; empty: the images dir
  bool detached = false;       // the restored root is no longer supervised: cr-restore returns
  bool sibling = false;        // CLONE_PARENT: the root becomes a child of cr-restore's own parent
  bool leave_stopped = false;  // released into a group stop, SIGCONT resumes it
  bool dry_run = false;        // verify and plan, create nothing
  bool shell_job = false;      // the root joins the session and terminal of cr-restore
  files::InheritedFds inherited;  // descriptors handed in for what lies outside, by key
  uint32_t restore_threads = 0;   // readers that fill memory; 0: as many as are useful
  VdsoMode vdso = VdsoMode::kAuto;
  // Run at pre-restore, post-restore and pre-resume (everything is rebuilt, nothing runs) and
  // post-resume.
  ActionScripts scripts;
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);
  // Called once, when everything is rebuilt and before the first instruction of the root runs: the
  // tool writes its pidfile and hands the terminal over here. An error fails the restore. May be
  // empty.
  std::function<Result<void>(HostPid root)> before_release;
};

}  // namespace cryostat::restore
