#include "engine/kernel/process_memory.h"

#include <fmt/format.h>
#include <limits.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace cryostat::kernel {

namespace {

constexpr size_t kBatch = IOV_MAX;

enum class Direction { kRead, kWrite };

ssize_t move_once(Direction direction, HostPid pid, const iovec* local, const iovec* remote,
                  size_t count) {
  return direction == Direction::kRead
             ? process_vm_readv(pid.value, local, count, remote, count, 0)
             : process_vm_writev(pid.value, local, count, remote, count, 0);
}

// Drops `moved` bytes from the front of both lists; returns how many whole stretches are done.
size_t advance(std::span<iovec> local, std::span<iovec> remote, size_t moved) {
  size_t done = 0;
  while (done < local.size() && moved >= local[done].iov_len) moved -= local[done++].iov_len;
  if (done < local.size() && moved != 0) {
    for (iovec* part : {&local[done], &remote[done]}) {
      part->iov_base = static_cast<char*>(part->iov_base) + moved;
      part->iov_len -= moved;
    }
  }
  return done;
}

// A call may stop early at a page that can't be reached: the next one says why (EFAULT).
Result<void> move_all(Direction direction, HostPid pid, std::span<iovec> local,
                      std::span<iovec> remote) {
  while (!local.empty()) {
    const size_t count = std::min(local.size(), kBatch);
    const ssize_t moved = move_once(direction, pid, local.data(), remote.data(), count);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) {
      const int error = moved < 0 ? errno : EFAULT;
      return fail_errno(error,
                        fmt::format("{} memory of process {} at {:#x}",
                                    direction == Direction::kRead ? "read" : "write", pid.value,
                                    reinterpret_cast<uint64_t>(remote[0].iov_base)));
    }
    const size_t done =
        advance(local.first(count), remote.first(count), static_cast<size_t>(moved));
    local = local.subspan(done);
    remote = remote.subspan(done);
  }
  return {};
}

iovec local_part(const void* address, size_t length) {
  return {const_cast<void*>(address), length};
}
iovec remote_part(RemoteAddr address, size_t length) {
  return {reinterpret_cast<void*>(address.value), length};
}

Result<void> move_one(Direction direction, HostPid pid, const void* local, RemoteAddr remote,
                      size_t length) {
  if (length == 0) return {};
  std::array<iovec, 1> here = {local_part(local, length)};
  std::array<iovec, 1> there = {remote_part(remote, length)};
  return move_all(direction, pid, here, there);
}

}  // namespace

Result<void> read_memory(HostPid pid, RemoteAddr from, std::span<std::byte> to) {
  return move_one(Direction::kRead, pid, to.data(), from, to.size());
}

Result<void> write_memory(HostPid pid, std::span<const std::byte> from, RemoteAddr to) {
  return move_one(Direction::kWrite, pid, from.data(), to, from.size());
}

Result<void> read_memory(HostPid pid, std::span<const ReadPart> parts) {
  std::vector<iovec> local, remote;
  for (const ReadPart& part : parts) {
    if (part.to.empty()) continue;
    local.push_back(local_part(part.to.data(), part.to.size()));
    remote.push_back(remote_part(part.from, part.to.size()));
  }
  return move_all(Direction::kRead, pid, local, remote);
}

Result<void> write_memory(HostPid pid, std::span<const WritePart> parts) {
  std::vector<iovec> local, remote;
  for (const WritePart& part : parts) {
    if (part.from.empty()) continue;
    local.push_back(local_part(part.from.data(), part.from.size()));
    remote.push_back(remote_part(part.to, part.from.size()));
  }
  return move_all(Direction::kWrite, pid, local, remote);
}

}  // namespace cryostat::kernel
