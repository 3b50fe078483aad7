// The place in the target where its main thread makes remote system calls.
#pragma once

#include <cstdint>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"

namespace cryostat {

struct SavedThread;
class TaskHandle;

enum class StubRoom : uint8_t {
  kAny,     // also that of a stub which an engine that died has left, when there is no other
  kUnused,  // another task of the dump has the same memory: what is there may be its stub
};

// Guard over a return stub (engine/arch/x86_64/return_stub.h) in the unused bytes behind the end of
// the target's vDSO: when the engine dies in the middle of a remote system call, the thread goes on
// into the stub and from there to its own work, instead of into a function of the vDSO it never
// called. No code that the target could run is changed. Where there is no room the plain `syscall`
// instruction of the vDSO is used, and has_way_back() is false.
class SyscallStub {
 public:
  SyscallStub() = default;
  // Precondition: the thread is in a ptrace stop.
  static Result<SyscallStub> place(const TaskHandle& task, const SavedThread& thread,
                                   StubRoom room);
  // Of the `syscall` instruction.
  RemoteAddr address() const { return address_; }
  bool has_way_back() const { return memory_.valid(); }
  // Zeroes the bytes again. Precondition: the thread does not stand in the stub any more.
  Result<void> remove();

 private:
  RemoteAddr address_;
  UniqueFd memory_;  // /proc/<pid>/mem, which writes what the task itself may not
};

}  // namespace cryostat
