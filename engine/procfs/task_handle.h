// A task held so that it can't be mistaken for another: pid + pidfd + start time + /proc/<pid>.
#pragma once

#include <unistd.h>

#include <cerrno>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"

namespace cryostat {

// An open /proc/<pid> (or /proc/<pid>/task/<tid>) directory; everything below is read with openat,
// so the files read belong to one task even if its number is taken again.
class ProcDir {
 public:
  // `path` is absolute, e.g. "/proc/42".
  static Result<ProcDir> open(const std::string& path);
  // The directory of one thread, "task/<tid>" below this one.
  Result<ProcDir> thread(Tid tid) const;
  // The whole text of a file ("maps"); kTargetGone when the task is gone.
  Result<std::string> read(const std::string& name) const;
  Result<void> write(const std::string& name, std::string_view text) const;
  Result<std::string> read_link(const std::string& name) const;
  Result<UniqueFd> open_file(const std::string& name, int flags) const;  // adds O_CLOEXEC
  // Numeric entries of a sub-directory ("task", "fd"), ascending.
  Result<std::vector<int>> list_numbers(const std::string& name) const;
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }  // for messages

 private:
  ProcDir(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  UniqueFd fd_;
  std::string path_;
};

// How often, and how far apart, something is looked for that says "gone" before that is believed.
// An execve(2) by a thread beside the main thread takes over the number of the process; for a
// moment nobody is found under it.
inline constexpr int kAttemptsToFind = 20;
inline constexpr unsigned kMicrosecondsToFindAgain = 500;

// Calls `find`, which gives a Result, again while that says kTargetGone or ENOENT and an exec may
// be the reason.
template <typename Find>
auto find_through_exec(const Find& find) {
  const auto is_missing = [](const Error& error) {
    return error.kind() == ErrorKind::kTargetGone || error.errno_value() == ENOENT;
  };
  auto found = find();
  for (int attempt = 1;
       attempt < kAttemptsToFind && !found.has_value() && is_missing(found.error()); ++attempt) {
    usleep(kMicrosecondsToFindAgain);
    found = find();
  }
  return found;
}

class TaskHandle {
 public:
  // kTargetGone when there is no such process.
  static Result<TaskHandle> open(HostPid pid);
  HostPid pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  const ProcDir& proc() const { return proc_; }
  uint64_t start_time_ticks() const { return start_time_ticks_; }
  // A copy of one of the task's descriptors, sharing the open description (pidfd_getfd(2), 5.6).
  // Precondition: ptrace access to the task.
  Result<UniqueFd> get_fd(RemoteFd fd) const;

 private:
  static Result<TaskHandle> open_once(HostPid pid);
  TaskHandle(HostPid pid, UniqueFd pidfd, ProcDir proc, uint64_t start_time_ticks)
      : pid_(pid),
        pidfd_(std::move(pidfd)),
        proc_(std::move(proc)),
        start_time_ticks_(start_time_ticks) {}
  HostPid pid_;
  UniqueFd pidfd_;
  ProcDir proc_;
  uint64_t start_time_ticks_;
};

}  // namespace cryostat
