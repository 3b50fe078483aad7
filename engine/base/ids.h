// Strong types for numbers that must not mix.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>

namespace cryostat {

// Base for integer newtypes; explicit both ways.
template <typename Tag, typename Int>
struct StrongInt {
  Int value{};
  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Int v) : value(v) {}
  auto operator<=>(const StrongInt&) const = default;
};

// A process (thread group) id as seen in the engine's own pid namespace.
using HostPid = StrongInt<struct HostPidTag, pid_t>;
// A process id as the target itself sees it (in its pid namespace).
using NsPid = StrongInt<struct NsPidTag, pid_t>;
// A thread id as seen in the engine's own pid namespace.
using Tid = StrongInt<struct TidTag, pid_t>;
// A descriptor number in a target; never usable in the engine.
using RemoteFd = StrongInt<struct RemoteFdTag, int>;

// An address in a target; never dereferenced by the engine.
struct RemoteAddr {
  uint64_t value = 0;
  constexpr RemoteAddr() = default;
  constexpr explicit RemoteAddr(uint64_t v) : value(v) {}
  auto operator<=>(const RemoteAddr&) const = default;
  constexpr RemoteAddr operator+(uint64_t offset) const { return RemoteAddr(value + offset); }
};

inline constexpr uint64_t kPageSize = 4096;
constexpr uint64_t page_align_up(uint64_t bytes) {
  return (bytes + kPageSize - 1) & ~(kPageSize - 1);
}
constexpr uint64_t page_align_down(uint64_t bytes) { return bytes & ~(kPageSize - 1); }

}  // namespace cryostat
