// Moves bytes between the engine and another task with process_vm_readv(2) and
// process_vm_writev(2). Needs ptrace access. Areas the task itself can't read or write fail with
// EFAULT: /proc/<pid>/mem reaches those.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat::kernel {

// One stretch of remote memory and its local place; equally long.
struct ReadPart {
  RemoteAddr from;
  std::span<std::byte> to;
};
struct WritePart {
  std::span<const std::byte> from;
  RemoteAddr to;
};

// All of the bytes or an error that names the first address that failed.
Result<void> read_memory(HostPid pid, RemoteAddr from, std::span<std::byte> to);
Result<void> write_memory(HostPid pid, std::span<const std::byte> from, RemoteAddr to);

// Many stretches in as few calls as possible (1024 stretches each).
Result<void> read_memory(HostPid pid, std::span<const ReadPart> parts);
Result<void> write_memory(HostPid pid, std::span<const WritePart> parts);

template <typename T>
Result<T> read_object(HostPid pid, RemoteAddr from) {
  static_assert(std::is_trivially_copyable_v<T>);
  T object;
  TRY(read_memory(pid, from, std::as_writable_bytes(std::span(&object, 1))));
  return object;
}
template <typename T>
Result<void> write_object(HostPid pid, const T& object, RemoteAddr to) {
  static_assert(std::is_trivially_copyable_v<T>);
  return write_memory(pid, std::as_bytes(std::span(&object, 1)), to);
}

}  // namespace cryostat::kernel
