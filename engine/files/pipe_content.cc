#include "engine/files/pipe_content.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"
#include "engine/procfs/task_handle.h"
#include "proto/files.pb.h"

namespace cryostat::files {

namespace {

// The ends of one pipe that the task has.
struct Ends {
  const OpenDescription* first = nullptr;  // lowest description of any end
  const OpenDescription* reader = nullptr;
  const OpenDescription* writer = nullptr;
  bool packet_mode = false;
};

Ends find_ends(const CollectContext& context, const OpenDescription& description) {
  Ends ends;
  for (const auto* end : context.same_object(description)) {
    if (end->is_path_only()) continue;
    if (ends.first == nullptr) ends.first = end;
    if (end->readable() && ends.reader == nullptr) ends.reader = end;
    if (end->writable() && ends.writer == nullptr) ends.writer = end;
    if (end->writable() && (end->flags & O_DIRECT) != 0) ends.packet_mode = true;
  }
  return ends;
}

// A read end with no writer anywhere is hung up, a write end with no reader in error (poll(2)).
bool other_end_closed(int fd, short event) {
  struct pollfd poll_fd = {fd, 0, 0};
  return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & event) != 0;
}

Result<void> check_ends(const Ends& ends, const OpenDescription& description,
                        const std::string& what) {
  const int fd = description.copy.get();
  if (ends.writer == nullptr && !other_end_closed(fd, POLLHUP))
    return fail(
        ErrorKind::kRefused,
        fmt::format("{} whose write end is outside the target can't be checkpointed", what));
  if (ends.reader == nullptr && !other_end_closed(fd, POLLERR))
    return fail(ErrorKind::kRefused,
                fmt::format("{} whose read end is outside the target can't be checkpointed", what));
  return {};
}

Result<std::vector<std::string>> read_all(int fd, int bytes) {
  std::vector<std::string> entries;
  for (int left = bytes; left > 0;) {
    // In packet mode a read ends with the packet; otherwise it takes all.
    std::string entry(static_cast<size_t>(left), '\0');
    const auto got = read(fd, entry.data(), entry.size());
    if (got < 0) return fail_errno("read the copy of a pipe's content");
    if (got == 0) break;
    entry.resize(static_cast<size_t>(got));
    left -= static_cast<int>(got);
    entries.push_back(std::move(entry));
  }
  return entries;
}

Failure too_large(int capacity, ErrorKind kind) {
  return tl::unexpected(
      Error(kind, fmt::format("pipe of {} bytes is more than this user may have", capacity))
          .with_hint("raise /proc/sys/fs/pipe-max-size or pipe-user-pages-soft, or run with "
                     "CAP_SYS_RESOURCE"));
}

}  // namespace

Result<std::vector<std::string>> peek_pipe(int read_end) {
  int bytes = 0;
  if (ioctl(read_end, FIONREAD, &bytes) != 0) return fail_errno("FIONREAD on a pipe");
  if (bytes == 0) return std::vector<std::string>();
  const int capacity = fcntl(read_end, F_GETPIPE_SZ);
  if (capacity < 0) return fail_errno("F_GETPIPE_SZ");
  int pair[2];
  if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("create a pipe to copy into");
  const UniqueFd copy_out(pair[0]), copy_in(pair[1]);
  // The same number of slots: tee(2) takes one for each buffer, however full that is.
  if (fcntl(copy_in.get(), F_SETPIPE_SZ, capacity) < 0)
    return errno == EPERM ? too_large(capacity, ErrorKind::kRefused) : fail_errno("F_SETPIPE_SZ");
  const auto copied = tee(read_end, copy_in.get(), static_cast<size_t>(bytes), SPLICE_F_NONBLOCK);
  if (copied < 0) return fail_errno("tee a pipe's content");
  if (copied != bytes)
    return fail(ErrorKind::kFailed,
                fmt::format("only {} of {} bytes of a pipe could be copied", copied, bytes));
  return read_all(copy_out.get(), bytes);
}

Result<void> collect_pipe(CollectContext& context, const OpenDescription& description,
                          const std::string& what, pb::Pipe& pipe) {
  const auto ends = find_ends(context, description);
  TRY(check_ends(ends, description, what));
  const int capacity = fcntl(description.copy.get(), F_GETPIPE_SZ);
  if (capacity < 0) return fail_errno("F_GETPIPE_SZ");
  pipe.set_pipe_id(ends.first->id);
  pipe.set_capacity_bytes(static_cast<uint32_t>(capacity));
  pipe.set_packet_mode(ends.packet_mode);
  if (ends.first->id != description.id) return {};
  int bytes = 0;
  if (ioctl(description.copy.get(), FIONREAD, &bytes) != 0) return fail_errno("FIONREAD on a pipe");
  pipe.set_carries_data(true);
  if (bytes == 0) return {};
  UniqueFd other;
  int read_end = description.copy.get();
  if (ends.reader == nullptr) {
    // Who has a write end may still open one for reading, and finds what nobody has read.
    other = TRY(reopen(description.copy.get(), O_RDONLY | O_NONBLOCK));
    read_end = other.get();
  } else if (!description.readable()) {
    other = TRY(ends.reader->task->get_fd(ends.reader->fd()));
    read_end = other.get();
  }
  for (auto& entry : TRY(peek_pipe(read_end))) pipe.add_data(std::move(entry));
  return {};
}

Result<void> fill_pipe(int write_end, const pb::Pipe& pipe) {
  const auto capacity = static_cast<int>(pipe.capacity_bytes());
  if (capacity != 0 && fcntl(write_end, F_GETPIPE_SZ) != capacity &&
      fcntl(write_end, F_SETPIPE_SZ, capacity) < 0)
    return errno == EPERM ? too_large(capacity, ErrorKind::kMachine)
                          : fail_errno(fmt::format("set the size of a pipe to {}", capacity));
  if (pipe.data().empty()) return {};
  const int packets = pipe.packet_mode() ? O_DIRECT : 0;
  if (fcntl(write_end, F_SETFL, O_NONBLOCK | packets) != 0) return fail_errno("F_SETFL on a pipe");
  for (const auto& entry : pipe.data()) {
    const auto wrote = write(write_end, entry.data(), entry.size());
    if (wrote < 0) return fail_errno(fmt::format("write {} bytes into a pipe", entry.size()));
    if (static_cast<size_t>(wrote) != entry.size())
      return fail(ErrorKind::kImages, fmt::format("content of a pipe does not fit its {} bytes",
                                                  pipe.capacity_bytes()));
  }
  return {};
}

uint32_t pipe_open_flags(uint32_t status) {
  return open_flags(status) & ~static_cast<uint32_t>(O_DIRECT);
}

}  // namespace cryostat::files
