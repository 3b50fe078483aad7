#include "engine/files/restore_context.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace cryostat::files {

Result<UniqueFd> RestoreContext::keep(UniqueFd fd) {
  if (!target_numbers_.contains(fd.get())) return fd;
  for (int number = 0;; ++number) {
    if (target_numbers_.contains(number)) continue;
    // Takes the lowest free number that is not below `number`; that may be the target's again.
    UniqueFd moved(fcntl(fd.get(), F_DUPFD_CLOEXEC, number));
    if (!moved) return fail_errno(fmt::format("duplicate descriptor to {} or above", number));
    if (!target_numbers_.contains(moved.get())) return moved;
    number = moved.get();
  }
}

NameBinder& RestoreContext::names() {
  if (names_ == nullptr)
    names_ = std::make_unique<NameBinder>(inputs_.unix_room,
                                          [this](UniqueFd fd) { return keep(std::move(fd)); });
  return *names_;
}

Result<int> RestoreContext::hold(uint32_t description_id, UniqueFd fd, int home) {
  UniqueFd kept;
  if (home < 0) {
    kept = TRY(keep(std::move(fd)));
  } else if (fd.get() == home) {
    kept = std::move(fd);
  } else {
    if (dup3(fd.get(), home, O_CLOEXEC) < 0)
      return fail_errno(fmt::format("duplicate to descriptor {}", home));
    kept.reset(home);
  }
  const int number = kept.get();
  held_[description_id] = std::move(kept);
  return number;
}

void RestoreContext::release_objects() {
  pipes.clear();
  bpf_maps.clear();
  ghosts.clear();
  deleted_directories.clear();
  unix_sockets.clear();
  std::erase_if(socket_pairs, [](const auto& pair) { return pair.second.completed; });
}

UniqueFd RestoreContext::release_held(uint32_t description_id) {
  const auto held = held_.find(description_id);
  if (held == held_.end()) return {};
  auto fd = std::move(held->second);
  held_.erase(held);
  return fd;
}

int RestoreContext::number_of(uint32_t description_id, int otherwise) const {
  const auto held = held_.find(description_id);
  return held == held_.end() ? otherwise : held->second.get();
}

Result<BorrowedNumber> BorrowedNumber::take(int fd, int number) {
  if (fd == number) return BorrowedNumber(-1, UniqueFd());
  UniqueFd before(fcntl(number, F_DUPFD_CLOEXEC, 0));
  if (!before && errno != EBADF) return fail_errno(fmt::format("put descriptor {} aside", number));
  BorrowedNumber borrowed(number, std::move(before));
  if (dup3(fd, number, O_CLOEXEC) < 0)
    return fail_errno(fmt::format("duplicate descriptor {} to {}", fd, number));
  return borrowed;
}

BorrowedNumber::~BorrowedNumber() {
  if (number_ < 0) return;
  if (before_) {
    (void)dup3(before_.get(), number_, O_CLOEXEC);
  } else {
    close(number_);
  }
}

Result<UniqueFd> reopen(int fd, uint32_t flags) {
  const auto path = fmt::format("/proc/self/fd/{}", fd);
  UniqueFd opened(open(path.c_str(), static_cast<int>(flags) | O_CLOEXEC));
  if (!opened) return fail_errno(fmt::format("open {} with flags {:#o}", path, flags));
  return opened;
}

uint32_t open_flags(uint32_t status) {
  // O_ASYNC is set with its owner; __O_TMPFILE stays in the flags of a file created that way, and
  // would create another one.
  constexpr uint32_t kTmpfileOnly =
      static_cast<uint32_t>(O_TMPFILE) & ~static_cast<uint32_t>(O_DIRECTORY);
  uint32_t flags = status & ~static_cast<uint32_t>(O_ASYNC);
  if ((flags & kTmpfileOnly) != 0) flags &= ~static_cast<uint32_t>(O_TMPFILE);
  return flags | O_NOCTTY;
}

}  // namespace cryostat::files
