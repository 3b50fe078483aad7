// What cr-restore and the tasks it creates say to each other while the tasks still run hosted code:
// "go" (the root is traced), then from each either the error that ended it or "ready" (about to
// enter the blob). All tasks of a tree have the same end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::restore {

// Where the child has put things; addresses in the child.
struct LaunchReport {
  int32_t pid = 0;
  uint32_t reserved = 0;
  uint64_t area_start = 0;
  uint64_t area_end = 0;
  uint64_t plan = 0;            // the wire::RestorerPlan, start of the arena
  uint64_t threads_offset = 0;  // WireSpan<RestorerThread>, relative to the arena
  uint64_t thread_count = 0;
  uint64_t vdso_start = 0;  // where the working vDSO is once the blob is done; 0: none
  uint64_t vdso_size_bytes = 0;
};

// One end. Messages are single datagrams, so a half-written one can't be seen.
class ChildChannel {
 public:
  // The two ends; both close-on-exec.
  static Result<std::pair<ChildChannel, ChildChannel>> create();

  // Parent's side.
  Result<void> send_go();
  // The child's next message if there is one: ready, or the child's Error. nullopt when nothing
  // came within `timeout_ms`; an Error with the message kEndedWithoutAWord at end of file.
  static constexpr const char* kEndedWithoutAWord = "the new task ended without a word";
  Result<std::optional<LaunchReport>> receive(int timeout_ms);

  // Child's side.
  Result<void> wait_go();
  void send_error(const Error& error);
  Result<void> send_ready(const LaunchReport& report);

  // Another object on a duplicate of the descriptor.
  Result<ChildChannel> duplicate() const;

  int fd() const { return fd_.get(); }
  UniqueFd take_fd() { return std::move(fd_); }
  void replace_fd(UniqueFd fd) { fd_ = std::move(fd); }

 private:
  explicit ChildChannel(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace cryostat::restore
