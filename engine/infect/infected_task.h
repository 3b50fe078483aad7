// A seized task with the parasite in it: one mapping in its address space and one descriptor, used by its
// leader thread. Owns both: cure() (or the destructor) takes them out again and puts every register
// back.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"
#include "engine/ptrace/seized_task.h"
#include "proto/wire/parasite.h"

namespace cryostat {

class InfectedTask {
 public:
  // Maps the parasite by remote system calls on the target's vDSO (no code of the target is changed) and
  // starts it on the leader. `seized` and `stop` must outlive the result.
  // Errors: kFailed (no room in the address space, …), kTargetGone, kPermission (seccomp can't be
  // suspended); the target is as before.
  static Result<InfectedTask> inject(SeizedTask& seized, const Deadline& deadline,
                                     const StopRequest& stop);

  InfectedTask(InfectedTask&&) noexcept;
  InfectedTask& operator=(InfectedTask&&) = delete;
  ~InfectedTask();

  // The parasite's mapping, [start, end): not part of the target.
  RemoteAddr area_start() const;
  RemoteAddr area_end() const;

  // The data part of the area: input and output of requests. At least wire::kTransferMaxDataBytes.
  size_t data_bytes() const;
  Result<void> write_data(size_t offset, std::span<const std::byte> bytes);
  Result<void> read_data(size_t offset, std::span<std::byte> bytes);

  // One request about the struct at `data_offset` of the data part; waits for the reply. A negative
  // reply.error is returned as an Error with that errno.
  Result<wire::ParasiteReply> call(wire::ParasiteOp op, size_t data_offset);

  // Puts `report` into the data part, lets the parasite work on it, reads it back.
  template <typename T>
  Result<void> call_with(wire::ParasiteOp op, T& report) {
    static_assert(std::is_trivially_copyable_v<T>);
    TRY(write_data(0, std::as_bytes(std::span(&report, 1))));
    TRY(call(op, 0));
    return read_data(0, std::as_writable_bytes(std::span(&report, 1)));
  }

  // False when the target's descriptor table is full: requests work, descriptors can't be sent.
  bool can_receive_fds() const;
  // Gives the parasite a copy of `fd`; returns its number in the target, closed by cure().
  Result<RemoteFd> send_fd(int fd);

  // Every thread's own report, in the order of SeizedTask::threads(). The threads run side by side.
  Result<std::vector<wire::ThreadStateReport>> collect_threads();

  // Ends the parasite, unmaps the area, closes its descriptors and puts the leader's registers, extended
  // state and mask back. Registers of every other thread are as saved too.
  Result<void> cure();

 private:
  struct State;
  explicit InfectedTask(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cryostat
