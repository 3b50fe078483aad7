#include "engine/files/kinds/fifo.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/file_check.h"
#include "engine/files/file_place.h"
#include "engine/files/pipe_content.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

namespace {

// Open for both ends, so that neither this open(2) nor those of the descriptions wait for a peer
// (fifo(7)).
Result<UniqueFd> open_filled(const pb::Pipe& pipe) {
  auto fd = TRY(open_same_type(pipe.fifo_path(), O_RDWR | O_NONBLOCK, pipe.fifo_mode()));
  int bytes = 0;
  if (ioctl(fd.get(), FIONREAD, &bytes) != 0)
    return fail_errno(fmt::format("FIONREAD on {}", pipe.fifo_path()));
  if (bytes != 0) {
    return fail(ErrorKind::kMachine,
                fmt::format("FIFO {} is in use: it holds {} bytes of another process",
                            pipe.fifo_path(), bytes));
  }
  TRY(fill_pipe(fd.get(), pipe));
  return fd;
}

}  // namespace

bool FifoKind::matches(const OpenDescription& description) const {
  return S_ISFIFO(description.st.st_mode) && description.link.starts_with('/');
}

Result<void> FifoKind::collect(CollectContext& context, const OpenDescription& description,
                               pb::Description& image) const {
  auto path = TRY(locate_present(description, "FIFO"));
  auto& pipe = *image.mutable_pipe();
  TRY(collect_pipe(context, description, fmt::format("FIFO {}", path), pipe));
  pipe.set_fifo_path(std::move(path));
  pipe.set_fifo_mode(description.st.st_mode);
  return {};
}

bool FifoKind::owns(const pb::Description& image) const {
  return image.has_pipe() && !image.pipe().fifo_path().empty();
}

void FifoKind::check(CheckContext& context, const pb::Description& image,
                     PlanReport& report) const {
  const auto& pipe = image.pipe();
  if (check_type(context, pipe.fifo_path(), pipe.fifo_mode(), report) &&
      context.first_time(pipe.fifo_path()))
    report.ok(pipe.fifo_path(), "FIFO");
}

void FifoKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  groups.join_object(image.id(), "pipe", image.pipe().pipe_id());
}

Result<UniqueFd> FifoKind::restore(RestoreContext& context, const pb::Description& image) const {
  auto known = context.pipes.find(image.pipe().pipe_id());
  if (known == context.pipes.end()) {
    auto filled = TRY(open_filled(image.pipe()));
    PipeEnds ends;
    ends.read_end = TRY(context.keep(std::move(filled)));
    known = context.pipes.emplace(image.pipe().pipe_id(), std::move(ends)).first;
  }
  return reopen(known->second.read_end.get(), pipe_open_flags(image.flags()));
}

}  // namespace cryostat::files
