#include "engine/restore/fill_progress.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>

#include "engine/kernel/process_memory.h"
#include "proto/wire/restorer.h"

namespace cryostat::restore {

namespace {
// Less is there before half a second has passed.
constexpr uint64_t kWatchedBytes = 64 << 20;
constexpr auto kPeriod = std::chrono::milliseconds(100);
}  // namespace

FillProgress::FillProgress(HostPid pid, RemoteAddr plan, uint64_t total_bytes, Progress& progress)
    : pid_(pid), plan_(plan), total_bytes_(total_bytes), progress_(progress) {
  progress_.add_total(total_bytes_);
  if (total_bytes_ < kWatchedBytes) return;
  thread_ = std::thread([this] {
    // Signals are for the thread that holds the tracees.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    watch();
  });
}

FillProgress::~FillProgress() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable()) thread_.join();
  report(total_bytes_);
}

void FillProgress::watch() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kPeriod, [this] { return end_; })) {
    const RemoteAddr at = plan_ + offsetof(wire::RestorerPlan, memory);
    const auto memory = kernel::read_object<wire::MemoryPlan>(pid_, at);
    if (!memory || memory->fill_batches.count == 0) continue;
    const double share =
        static_cast<double>(memory->next_batch) / static_cast<double>(memory->fill_batches.count);
    report(static_cast<uint64_t>(std::min(share, 1.0) * static_cast<double>(total_bytes_)));
  }
}

void FillProgress::report(uint64_t bytes) {
  if (bytes <= reported_bytes_) return;
  progress_.advance(bytes - reported_bytes_);
  reported_bytes_ = bytes;
}

}  // namespace cryostat::restore
