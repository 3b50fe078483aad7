#include "engine/infect/thread_round.h"

#include <cstddef>

#include "engine/base/log.h"
#include "engine/infect/blob_thread.h"
#include "engine/infect/thread_origin.h"
#include "engine/kernel/process_memory.h"
#include "engine/ptrace/seized_task.h"

namespace cryostat {
namespace {

using wire::ThreadSlot;

// The part of a slot the engine fills.
struct SlotInput {
  wire::ThreadOrigin origin;
  wire::XsaveLayout xsave;
  int32_t stop_signal;
  uint32_t done;
};
static_assert(offsetof(SlotInput, xsave) ==
              offsetof(ThreadSlot, xsave) - offsetof(ThreadSlot, origin));
static_assert(offsetof(SlotInput, done) ==
              offsetof(ThreadSlot, done) - offsetof(ThreadSlot, origin));

Result<void> fill_slots(HostPid pid, const ParasiteArea& area, int stop_signal,
                        std::span<const SavedThread> threads) {
  const wire::XsaveLayout xsave = this_xsave_layout();
  std::vector<SlotInput> inputs;
  std::vector<kernel::WritePart> parts;
  inputs.reserve(threads.size());
  for (const SavedThread& thread : threads) {
    inputs.push_back({make_thread_origin(thread), xsave, stop_signal, 0});
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    parts.push_back(
        {std::as_bytes(std::span(&inputs[i], 1)), area.slot(i) + offsetof(ThreadSlot, origin)});
  }
  return kernel::write_memory(pid, parts);
}

BlobRun make_run(const ParasiteArea& area, size_t index, int stop_signal) {
  BlobRun run;
  const RemoteAddr slot = area.slot(index);
  run.entry = area.start + parasite_blob::parasite_thread_entry;
  run.argument = slot;
  run.stack_top = RemoteAddr((slot.value + offsetof(ThreadSlot, origin)) & ~uint64_t{15});
  run.done = slot + offsetof(ThreadSlot, done);
  run.stop_signal = stop_signal;
  return run;
}

Result<void> read_reports(HostPid pid, const ParasiteArea& area, size_t count,
                          std::vector<wire::ThreadStateReport>& reports) {
  const size_t first = reports.size();
  reports.resize(first + count);
  std::vector<kernel::ReadPart> parts;
  for (size_t i = 0; i < count; ++i) {
    parts.push_back({area.slot(i) + offsetof(ThreadSlot, report),
                     std::as_writable_bytes(std::span(&reports[first + i], 1))});
  }
  return kernel::read_memory(pid, parts);
}

void keep_first(Result<void>& result, Result<void> next) {
  if (result.has_value() && !next.has_value()) result = std::move(next);
}

}  // namespace

Result<void> run_thread_round(HostPid pid, const ParasiteArea& area, int stop_signal,
                              std::span<const SavedThread> threads, const Deadline& deadline,
                              const StopRequest& stop,
                              std::vector<wire::ThreadStateReport>& reports) {
  TRY_IN(fill_slots(pid, area, stop_signal, threads), "prepare the threads' reports");
  Result<void> result;
  std::vector<BlobThread> runs;
  runs.reserve(threads.size());
  for (size_t i = 0; i < threads.size(); ++i) {
    auto& thread = runs.emplace_back(pid, threads[i]);
    auto started = thread.start(make_run(area, i, stop_signal));
    if (started.has_value()) continue;
    // Nothing runs in it: its mask may be changed already.
    keep_first(result, std::move(started));
    keep_first(result, thread.restore());
    runs.pop_back();
    break;
  }
  // After a first error the others still must come to their stop.
  for (size_t i = 0; i < runs.size(); ++i) {
    keep_first(result, runs[i].finish(make_run(area, i, stop_signal), deadline, stop));
    keep_first(result, runs[i].restore());
  }
  if (!result.has_value())
    return tl::unexpected(std::move(result).error().in("collect the state of the threads"));
  return read_reports(pid, area, threads.size(), reports);
}

}  // namespace cryostat
