#include "engine/image/dedup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/base/ids.h"
#include "engine/base/span.h"

namespace cryostat::image {

namespace {

// Large enough to be quick, small enough that a stop request is answered soon.
constexpr uint64_t kPunchPages = 64 << 10;

// Appends the parts of pages [first, end) that hold data.
void add_present(int fd, uint64_t first, uint64_t end, DedupShare& share) {
  for (uint64_t at = first; at < end;) {
    const off_t data = lseek(fd, static_cast<off_t>(at * kPageSize), SEEK_DATA);
    if (data < 0) return;  // ENXIO: nothing more
    const off_t hole = lseek(fd, data, SEEK_HOLE);
    const uint64_t from = std::max(at, static_cast<uint64_t>(data) / kPageSize);
    const uint64_t to =
        hole < 0 ? end : std::min(end, (static_cast<uint64_t>(hole) + kPageSize - 1) / kPageSize);
    if (from >= end) return;
    if (to > from) {
      share.to_free.push_back({from, to - from});
      share.pages_to_free += to - from;
    }
    at = std::max(to, from + 1);
  }
}

Result<void> punch(int fd, const std::string& path, const StoreRange& range,
                   const StopRequest& stop) {
  for (uint64_t done = 0; done < range.count; done += kPunchPages) {
    TRY(stop.check());
    const uint64_t pages = std::min(kPunchPages, range.count - done);
    int result;
    do {
      result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         static_cast<off_t>((range.first + done) * kPageSize),
                         static_cast<off_t>(pages * kPageSize));
    } while (result != 0 && errno == EINTR);
    if (result == 0) continue;
    Error error = Error::from_errno(errno, fmt::format("free pages of {}", path));
    if (error.errno_value() == EOPNOTSUPP)
      return tl::unexpected(std::move(error)
                                .as(ErrorKind::kRefused)
                                .with_hint("this file system can't free parts of a file; "
                                           "cr-dedup --flatten makes a copy without the parents"));
    return tl::unexpected(std::move(error));
  }
  return {};
}

}  // namespace

std::vector<DedupShare> plan_dedup(const Chain& chain) {
  const auto used = chain.used_pages();
  std::vector<DedupShare> plan;
  for (size_t store = 1; store < chain.store_count(); ++store) {
    const CheckpointReader& member = chain.member(store);
    DedupShare share;
    share.directory = member.directory();
    share.page_count = member.page_count();
    // Blocks of compressed pages stay: they are small, and each is needed or not as a whole.
    if (member.packed()) {
      for (const StoreRange& range : used[store]) share.pages_used += range.count;
      plan.push_back(std::move(share));
      continue;
    }
    uint64_t free_from = 0;
    for (const StoreRange& range : used[store]) {
      share.pages_used += range.count;
      add_present(member.pages_fd(), free_from, range.first, share);
      free_from = range.first + range.count;
    }
    add_present(member.pages_fd(), free_from, share.page_count, share);
    plan.push_back(std::move(share));
  }
  return plan;
}

Result<void> dedup(const Chain& chain, const std::vector<DedupShare>& plan,
                   const StopRequest& stop) {
  const Span span("image.dedup");
  const bool nothing = std::all_of(plan.begin(), plan.end(),
                                   [](const DedupShare& share) { return share.to_free.empty(); });
  if (nothing) return {};
  // A commit leaves writing page data to the kernel. What replaces the pages that go now has to
  // outlive a power failure.
  for (size_t store = 0; store < chain.store_count(); ++store) {
    TRY(stop.check());
    const CheckpointReader& member = chain.member(store);
    const std::string name(file_name(member.packed() ? FileType::kPackedPages : FileType::kPages));
    const UniqueFd fd(openat(member.dir_fd(), name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || fdatasync(fd.get()) != 0)
      return fail_errno(fmt::format("sync {}/{}", member.directory(), name));
  }
  for (size_t i = 0; i < plan.size(); ++i) {
    if (plan[i].to_free.empty()) continue;
    const std::string path = plan[i].directory + "/pages.img";
    const UniqueFd fd(openat(chain.member(i + 1).dir_fd(), "pages.img", O_RDWR | O_CLOEXEC));
    if (!fd) return fail_errno(fmt::format("open {} for writing", path));
    for (const StoreRange& range : plan[i].to_free) TRY(punch(fd.get(), path, range, stop));
  }
  return {};
}

}  // namespace cryostat::image
