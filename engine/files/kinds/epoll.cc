#include "engine/files/kinds/epoll.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <map>

#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

namespace {

// Bits that are not events; a one-shot watch that has fired has only these left (epoll_ctl(2)).
constexpr uint32_t kPrivateBits =
    EPOLLWAKEUP | EPOLLONESHOT | static_cast<uint32_t>(EPOLLET) | EPOLLEXCLUSIVE;

bool is_spent(const pb::EpollWatch& watch) {
  return (watch.events() & EPOLLONESHOT) != 0 && (watch.events() & ~kPrivateBits) == 0;
}

struct epoll_event to_event(const pb::EpollWatch& watch) {
  struct epoll_event event = {};
  event.events = watch.events();
  event.data.u64 = watch.data();
  return event;
}

Failure watch_failure(const pb::EpollWatch& watch) {
  return fail_errno(fmt::format("add watch on descriptor {}", watch.fd()));
}

// A spent one-shot watch can't be added as such: the kernel always adds EPOLLERR and EPOLLHUP. It
// is added for everything and, if the descriptor is ready for anything, fires and is spent.
// Otherwise it stays armed for EPOLLERR and EPOLLHUP.
Result<void> add_spent(int epoll, const pb::EpollWatch& watch) {
  auto event = to_event(watch);
  event.events |= EPOLLIN | EPOLLOUT;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, watch.fd(), &event) != 0) return watch_failure(watch);
  struct epoll_event fired;
  if (epoll_wait(epoll, &fired, 1, 0) == 1) return {};
  event.events = watch.events();
  if (epoll_ctl(epoll, EPOLL_CTL_MOD, watch.fd(), &event) != 0) return watch_failure(watch);
  return {};
}

// The description behind a watch; nullptr when no task of the target has it any more. As a rule it
// still has the number it was added under.
Result<const OpenDescription*> watched_by(const CollectContext& context,
                                          const OpenDescription& epoll,
                                          const procfs::EpollWatchInfo& watch, uint32_t nth) {
  for (const auto& slot : epoll.slots) {
    const auto* watched = context.description_at(slot.table, watch.fd);
    if (watched == nullptr) continue;
    if (TRY(context.watches(epoll, watch.fd, nth, {RemoteFd(watch.fd), false, slot.table, {}})))
      return watched;
  }
  for (const auto& other : context.descriptions())
    if (other.st.st_ino == watch.inode &&
        TRY(context.watches(epoll, watch.fd, nth, other.slots.front())))
      return &other;
  return nullptr;
}

bool has_number(const OpenDescription& description, int fd) {
  return std::any_of(description.slots.begin(), description.slots.end(),
                     [fd](const auto& slot) { return slot.fd.value == fd; });
}

// A number of the watched description in the one table that has it, when none is held open.
int home_of(const image::FilesImage& image, const pb::EpollWatch& watch) {
  if (!watch.number_closed()) return watch.fd();
  for (const auto& table : image.tables)
    for (const auto& entry : table.entries())
      if (entry.description_id() == watch.description_id()) return entry.fd();
  return watch.fd();
}

}  // namespace

bool EpollKind::matches(const OpenDescription& description) const {
  return description.anonymous_inode() == "eventpoll";
}

Result<void> EpollKind::collect(CollectContext& context, const OpenDescription& description,
                                pb::Description& image) const {
  auto& epoll = *image.mutable_epoll();
  std::map<int, uint32_t> seen;  // watches under the same number so far
  for (const auto& watch : description.info.epoll_watches) {
    const auto* watched = TRY(watched_by(context, description, watch, seen[watch.fd]++));
    if (watched == nullptr) {
      return fail(
          ErrorKind::kRefused,
          fmt::format("epoll instance with a watch on descriptor {}, which was closed since "
                      "but is still open outside the target, can't be checkpointed",
                      watch.fd));
    }
    auto& out = *epoll.add_watches();
    out.set_fd(watch.fd);
    out.set_events(watch.events);
    out.set_data(watch.data);
    out.set_description_id(watched->id);
    out.set_number_closed(!has_number(*watched, watch.fd));
  }
  return {};
}

bool EpollKind::owns(const pb::Description& image) const { return image.has_epoll(); }

void EpollKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  for (const auto& watch : image.epoll().watches()) groups.join(image.id(), watch.description_id());
}

Result<UniqueFd> EpollKind::restore(RestoreContext&, const pb::Description&) const {
  UniqueFd fd(epoll_create1(EPOLL_CLOEXEC));
  if (!fd) return fail_errno("create an epoll instance");
  return fd;
}

// A watch is remembered by the number it is added under, which the watched description has for that
// moment.
Result<void> EpollKind::finish(RestoreContext& context, const pb::Description& image,
                               int fd) const {
  const auto number_now = [&](const pb::EpollWatch& watch) {
    return context.number_of(watch.description_id(), home_of(context.image(), watch));
  };
  // The instance may have got the number of a watched descriptor that was closed.
  const auto has_own_number = [fd](const pb::EpollWatch& watch) { return watch.fd() == fd; };
  UniqueFd elsewhere;
  if (std::ranges::any_of(image.epoll().watches(), has_own_number)) {
    elsewhere = TRY(context.keep(UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0))));
    fd = elsewhere.get();
  }
  // Spent ones first: making them fire must not take an event of another watch.
  for (const auto& watch : image.epoll().watches()) {
    if (!is_spent(watch)) continue;
    const auto number = TRY(BorrowedNumber::take(number_now(watch), watch.fd()));
    TRY(add_spent(fd, watch));
  }
  for (const auto& watch : image.epoll().watches()) {
    if (is_spent(watch)) continue;
    const auto number = TRY(BorrowedNumber::take(number_now(watch), watch.fd()));
    auto event = to_event(watch);
    if (epoll_ctl(fd, EPOLL_CTL_ADD, watch.fd(), &event) != 0) return watch_failure(watch);
  }
  return {};
}

}  // namespace cryostat::files
