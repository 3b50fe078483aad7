#include "engine/memory/snapshot.h"

#include <fmt/format.h>

#include <utility>

#include "engine/base/log.h"
#include "engine/base/span.h"
#include "engine/infect/foster_namespace.h"
#include "engine/memory/fork_headroom.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"

namespace cryostat::memory {

namespace {

// Below this, writing the pages takes no longer than forking them and taking the copy over.
constexpr uint64_t kSmallBytes = 4 << 20;
// So many pages are forked in the time in which one is written.
constexpr uint64_t kForksOfAWrite = 16;
constexpr uint32_t kSeccompFilter = 2;  // SECCOMP_MODE_FILTER

Result<procfs::Status> status_of(const TaskHandle& task) {
  return procfs::parse_status(TRY(task.proc().read("status")));
}

}  // namespace

Snapshots::Snapshots(SnapshotMode mode, bool leave_running)
    : mode_(mode), wanted_(mode != SnapshotMode::kStop && leave_running) {
  if (mode == SnapshotMode::kCow && !leave_running)
    log::info("no copy of the memory is made: the process does not go on (-R)");
}

Snapshots::~Snapshots() = default;

Result<void> Snapshots::prepare(std::span<const TaskHandle* const> tasks) {
  if (!wanted_) return {};
  const std::string reason = TRY(why_not(tasks));
  if (!reason.empty()) {
    fall_back(reason);
    wanted_ = false;
  }
  return {};
}

Result<std::string> Snapshots::why_not(std::span<const TaskHandle* const> tasks) {
  ForkNeed need;
  bool pays = mode_ == SnapshotMode::kCow;
  for (const TaskHandle* task : tasks) {
    const auto own = read_fork_need(*task);
    if (!own.has_value() && task != tasks.front()) continue;  // it has ended in the meantime
    const ForkNeed of_task = TRY(own);
    need.private_bytes += of_task.private_bytes;
    need.accounted_bytes += of_task.accounted_bytes;
    pays = pays || of_task.private_bytes >= kSmallBytes;
  }
  const TaskHandle& root = *tasks.front();
  const std::string room = why_fork_does_not_fit(need, TRY(read_fork_headroom(root)));
  if (!room.empty() || !pays) return room;
  const auto foster = foster_of(TRY(status_of(root)).uid.effective);
  return foster.has_value() ? std::string() : foster.error().message();
}

Result<const FosterNamespace*> Snapshots::foster_of(uint32_t owner) {
  auto& foster = fosters_[owner];
  if (!foster) foster = std::make_unique<FosterNamespace>(TRY(FosterNamespace::create(owner)));
  return foster.get();
}

void Snapshots::fall_back(const std::string& reason) {
  const std::string text =
      fmt::format("no copy of the memory is made, it is written while all is stopped: {}", reason);
  if (mode_ == SnapshotMode::kCow)
    log::warn("{}", text);
  else
    log::info("{}", text);
}

bool Snapshots::pays(uint64_t private_bytes, uint64_t to_write_bytes) const {
  if (mode_ == SnapshotMode::kCow) return true;
  return to_write_bytes >= kSmallBytes && to_write_bytes >= private_bytes / kForksOfAWrite;
}

Result<std::optional<Snapshot>> Snapshots::take(const SeizedTask& seized, InfectedTask& infected,
                                                uint64_t private_bytes, uint64_t to_write_bytes) {
  std::optional<Snapshot> snapshot;
  if (!wanted_ || !pays(private_bytes, to_write_bytes)) return snapshot;
  const Span span("fork memory");
  const auto status = TRY(status_of(seized.task()));
  if (status.seccomp_mode == kSeccompFilter) {
    fall_back(fmt::format("the seccomp filters of pid {} would judge the system calls of the copy",
                          seized.pid().value));
    return snapshot;
  }
  const auto foster = foster_of(status.uid.effective);
  auto copy = foster.has_value() ? MemoryCopy::fork(seized, infected, **foster)
                                 : Result<MemoryCopy>(tl::unexpected(foster.error()));
  if (copy.has_value()) {
    snapshot.emplace(std::move(*copy));
  } else if (copy.error().kind() == ErrorKind::kTargetGone) {
    return tl::unexpected(copy.error());
  } else {
    fall_back(copy.error().message());
  }
  return snapshot;
}

}  // namespace cryostat::memory
