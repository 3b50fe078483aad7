// Reads the smaps of frozen tasks on a thread of its own. Making that text is the longest thing the
// kernel does for a dump of a small process, and nothing but the VMAs needs it: meanwhile the
// engine asks the tasks for the rest of their state.
#pragma once

#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/procfs/maps.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::memory {

class SmapsReader {
 public:
  // To be made before the freeze: starting a thread takes a while. Without one (a limit), take()
  // reads by itself.
  SmapsReader();
  SmapsReader(const SmapsReader&) = delete;
  SmapsReader& operator=(const SmapsReader&) = delete;
  // Waits for a reading under way.
  ~SmapsReader();

  // Asks for the areas of `task`, which must outlive the reading. Precondition: all its threads
  // are stopped and it has every mapping that is to be seen. Tasks are read in the order asked for.
  void request(const TaskHandle& task);
  // The areas of a task asked for (once each), or read now when it was not. Errors: kTargetGone,
  // kPermission, kFailed.
  Result<std::vector<procfs::SmapsEntry>> take(const TaskHandle& task);

 private:
  using Areas = Result<std::vector<procfs::SmapsEntry>>;
  struct Reading {
    const TaskHandle* task;
    bool begun = false;
    bool done = false;
    Areas areas;
  };
  void run();
  Reading* next_reading();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Reading> readings_;  // in the order asked for; taken ones are gone
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace cryostat::memory
