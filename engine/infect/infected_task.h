// A frozen task with the parasite in its main thread.
//
// The parasite is driven by ptrace: the engine sets registers and lets the thread run; when the
// call is done the parasite sends itself a signal that the target ignores, which stops it for its
// tracer. Nothing of it is visible in the descriptor table, and when the engine has died meanwhile
// the signal is ignored and the parasite returns to the saved registers on its own
// (docs/parasite-protocol.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/infect/syscall_stub.h"
#include "proto/wire/parasite.h"

namespace cryostat {

class SeizedTask;

// Guard over everything the infection changes: the area, registers, signal mask, channel. One call
// at a time, from the thread that froze the task.
class InfectedTask {
 public:
  // `seized`, `stop` must outlive the object. `deadline` bounds the injection alone. On failure the
  // task is as before. Errors: kTargetGone; kRefused, naming what makes a parasite impossible
  // (system call redirection, shadow stack, a limit on memory).
  // `room`: see SyscallStub.
  static Result<InfectedTask> inject(SeizedTask& seized, const Deadline& deadline,
                                     const StopRequest& stop, StubRoom room = StubRoom::kAny);
  InfectedTask(InfectedTask&&) noexcept;
  InfectedTask& operator=(InfectedTask&&) = delete;
  // Backstop: cure(), logged.
  ~InfectedTask();

  // The one mapping that is not the target's own; whole pages.
  RemoteAddr area_start() const;
  RemoteAddr area_end() const;

  // The data part of the area: input and output of calls, remote system calls too.
  RemoteAddr data_address() const;
  static constexpr size_t data_bytes() { return wire::kParasiteDataBytes; }
  // kFailed when the range is not inside the data part.
  Result<void> write_data(uint64_t offset, std::span<const std::byte> bytes);
  Result<void> read_data(uint64_t offset, std::span<std::byte> bytes);

  // Runs `op` on the struct at `data_offset` of the data part. An operation that returned -errno
  // becomes an Error with that errno. Errors: kTargetGone when the task was killed; kFailed when
  // the parasite crashed or a stop request was made (the call is broken off; only cure() may
  // follow).
  Result<void> call(wire::ParasiteOp op, uint64_t data_offset = 0);
  Result<void> ping() { return call(wire::ParasiteOp::kPing); }
  // Writes `object` at 0 of the data part, runs `op` on it and reads it back.
  template <typename T>
  Result<void> call(wire::ParasiteOp op, T& object) {
    TRY(write_data(0, std::as_bytes(std::span(&object, 1))));
    TRY(call(op));
    return read_data(0, std::as_writable_bytes(std::span(&object, 1)));
  }
  Result<void> collect_task_state(wire::TaskStateReport& report) {
    return call(wire::ParasiteOp::kCollectTask, report);
  }

  // Every thread tells its state; in the order of SeizedTask::threads(). All of them run at once,
  // each on general registers only, and are afterwards stopped with their registers as saved.
  Result<std::vector<wire::ThreadStateReport>> collect_thread_states();

  // True when a descriptor can be given to the target: opens the channel if need be. False when the
  // target's descriptor table is full or forbids it.
  bool can_receive_fds();
  // Copies a descriptor of the engine into the target, close-on-exec; closed again by close_fd() or
  // cure().
  Result<RemoteFd> send_fd(int fd);
  Result<void> close_fd(RemoteFd fd);

  // A system call of the main thread; returns what the kernel returned (-errno included).
  Result<int64_t> remote_syscall(int64_t number, const std::array<uint64_t, 6>& arguments);

  // Puts everything back: descriptors closed, area unmapped, registers, extended state and signal
  // mask as saved. Nothing remains to be done afterwards, also on an error.
  Result<void> cure();

 private:
  class Impl;
  explicit InfectedTask(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cryostat
