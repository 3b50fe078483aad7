#include "engine/memory/smaps_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "engine/base/log.h"
#include "engine/base/signals_blocked.h"
#include "engine/base/span.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

Result<std::vector<procfs::SmapsEntry>> read_areas(const TaskHandle& task) {
  const Span span("read smaps");
  return procfs::parse_smaps(TRY(task.proc().read("smaps")));
}

}  // namespace

SmapsReader::SmapsReader() {
  const AllSignalsBlocked inherited_by_the_thread;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    log::debug("no thread to read smaps: {}", error.what());
  }
}

SmapsReader::~SmapsReader() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SmapsReader::request(const TaskHandle& task) {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    readings_.push_back({&task, false, false, {}});
  }
  changed_.notify_all();
}

Result<std::vector<procfs::SmapsEntry>> SmapsReader::take(const TaskHandle& task) {
  std::unique_lock lock(mutex_);
  const auto found = std::ranges::find(readings_, &task, &Reading::task);
  if (found == readings_.end() || !found->begun) {
    if (found != readings_.end()) readings_.erase(found);
    lock.unlock();
    return read_areas(task);
  }
  changed_.wait(lock, [&] { return found->done; });
  auto areas = std::move(found->areas);
  readings_.erase(found);
  return areas;
}

SmapsReader::Reading* SmapsReader::next_reading() {
  const auto found =
      std::ranges::find_if(readings_, [](const Reading& reading) { return !reading.begun; });
  return found == readings_.end() ? nullptr : &*found;
}

void SmapsReader::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    Reading* reading = nullptr;
    changed_.wait(lock, [&] { return ending_ || (reading = next_reading()) != nullptr; });
    if (ending_) return;
    reading->begun = true;
    lock.unlock();
    Areas areas;
    try {
      areas = read_areas(*reading->task);
    } catch (const std::exception& error) {
      areas = fail(ErrorKind::kFailed, fmt::format("read smaps: {}", error.what()));
    }
    lock.lock();
    reading->areas = std::move(areas);
    reading->done = true;
    changed_.notify_all();
  }
}

}  // namespace cryostat::memory
