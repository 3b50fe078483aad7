#include "engine/files/kinds/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/pipe_content.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

namespace {

// pipe2(2) makes one description of each end; any others were opened through /proc/self/fd, and
// open(2) always adds this flag for 64-bit programs (where the libc's O_LARGEFILE is 0).
bool made_by_pipe(uint32_t flags) {
  constexpr uint32_t kLargeFile = 0100000;
  return (flags & kLargeFile) == 0 && (flags & O_ACCMODE) != O_RDWR;
}

}  // namespace

bool PipeKind::matches(const OpenDescription& description) const {
  return S_ISFIFO(description.st.st_mode) && description.link.starts_with("pipe:");
}

Result<void> PipeKind::collect(CollectContext& context, const OpenDescription& description,
                               pb::Description& image) const {
  return collect_pipe(context, description, "pipe", *image.mutable_pipe());
}

bool PipeKind::owns(const pb::Description& image) const {
  return image.has_pipe() && image.pipe().fifo_path().empty();
}

void PipeKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  groups.join_object(image.id(), "pipe", image.pipe().pipe_id());
}

Result<UniqueFd> PipeKind::restore(RestoreContext& context, const pb::Description& image) const {
  auto known = context.pipes.find(image.pipe().pipe_id());
  if (known == context.pipes.end()) {
    // The first description carries the content; the pipe is made with it.
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) return fail_errno("create a pipe");
    UniqueFd read_end(pair[0]), write_end(pair[1]);
    TRY(fill_pipe(write_end.get(), image.pipe()));
    PipeEnds ends;
    ends.read_end = TRY(context.keep(std::move(read_end)));
    ends.write_end = TRY(context.keep(std::move(write_end)));
    known = context.pipes.emplace(image.pipe().pipe_id(), std::move(ends)).first;
  }
  const auto& ends = known->second;
  if (made_by_pipe(image.flags())) {
    const bool reads = (image.flags() & O_ACCMODE) == O_RDONLY;
    UniqueFd fd(fcntl(reads ? ends.read_end.get() : ends.write_end.get(), F_DUPFD_CLOEXEC, 0));
    if (!fd) return fail_errno("duplicate an end of a pipe");
    return fd;
  }
  return reopen(ends.read_end.get(), pipe_open_flags(image.flags()));
}

}  // namespace cryostat::files
