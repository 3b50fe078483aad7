#include "engine/task/sleep_clock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <charconv>

#include "engine/procfs/sched.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::task {

namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

int64_t monotonic_now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

// Takes the next blank-separated word off `text`; empty at its end.
std::string_view next_word(std::string_view& text) {
  const size_t start = std::min(text.find_first_not_of(" \n"), text.size());
  text.remove_prefix(start);
  const size_t length = std::min(text.find_first_of(" \n"), text.size());
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  return word;
}

Result<uint64_t> parse_hex(std::string_view word) {
  uint64_t value = 0;
  if (word.starts_with("0x")) word.remove_prefix(2);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
  if (word.empty() || error != std::errc() || end != word.data() + word.size())
    return fail(ErrorKind::kFailed, "malformed /proc/<tid>/syscall");
  return value;
}

// The kernel function a thread sleeps in (/proc/<tid>/wchan) tells which call restart_syscall goes on with.
// That of a nanosleep is a part of the scheduler for this purpose, so its caller shows instead.
uint64_t call_behind(std::string_view wchan, const uint64_t (&args)[6]) {
  const auto has = [&](const char* part) { return wchan.find(part) != std::string_view::npos; };
  if (has("poll")) return SYS_poll;
  if (has("futex")) return SYS_futex;
  if (!has("nanosleep") && !has("nsleep") && !has("restart_syscall") && !has("do_syscall_64"))
    return 0;
  // The first argument is a pointer in one, a small clock id in the other.
  constexpr uint64_t kMaxClockId = 64;
  return static_cast<uint32_t>(args[0]) < kMaxClockId && args[0] >> 32 == 0 ? SYS_clock_nanosleep
                                                                            : SYS_nanosleep;
}


Result<void> sample_thread(const ProcDir& proc, Tid tid, Result<int64_t>& offset,
                           SleepSamples& samples) {
  const std::string prefix = "task/" + std::to_string(tid.value) + "/";
  SleepSample sample = TRY(parse_sleeping_call(TRY(proc.read(prefix + "syscall"))));
  if (sample.number == SYS_restart_syscall) {
    sample.original_number = 0;
    if (const auto wchan = proc.read(prefix + "wchan"))
      sample.original_number = call_behind(*wchan, sample.args);
    samples.add(tid, sample);
    return {};
  }
  if (sample.number == 0 || !is_timed_call(sample.number, sample.args)) return {};
  if (!offset) offset = scheduler_clock_offset_ns();
  const procfs::SchedInfo sched = TRY(procfs::parse_sched(TRY(proc.read(prefix + "sched"))));
  if (offset)
    sample.began_monotonic_ns = static_cast<int64_t>(sched.exec_start_ns) + *offset;
  samples.add(tid, sample);
  return {};
}

}  // namespace

const SleepSample* SleepSamples::find(Tid tid) const {
  const auto found = samples_.find(tid.value);
  return found == samples_.end() ? nullptr : &found->second;
}

void SleepSamples::note_timers() {
  for (const auto& [tid, sample] : samples_) {
    if (sample.number != SYS_restart_syscall ||
        !is_timed_call(sample.original_number, sample.args))
      continue;
    if (unsettled_ != 0) {
      unsettled_ = 0;
      return;
    }
    unsettled_ = tid;
  }
  if (unsettled_ != 0) timers_before_ = read_timer_list();
}

void SleepSamples::settle(int64_t now_ns) {
  if (unsettled_ == 0) return;
  const auto end = end_of_vanished(timers_before_, read_timer_list(), now_ns);
  if (end) samples_[unsettled_].ends_monotonic_ns = *end;
  unsettled_ = 0;
}

Result<SleepSample> parse_sleeping_call(std::string_view text) {
  SleepSample sample;
  const std::string_view first = next_word(text);
  // "running", or "-1 SP PC" for a thread blocked outside a system call.
  if (first.empty() || first[0] < '0' || first[0] > '9') return sample;
  const auto [end, error] =
      std::from_chars(first.data(), first.data() + first.size(), sample.number);
  if (error != std::errc() || end != first.data() + first.size())
    return fail(ErrorKind::kFailed, "malformed /proc/<tid>/syscall");
  for (uint64_t& arg : sample.args) arg = TRY(parse_hex(next_word(text)));
  sample.stack_pointer = TRY(parse_hex(next_word(text)));
  sample.original_number = sample.number;
  return sample;
}

bool is_timed_call(uint64_t number, const uint64_t (&args)[6]) {
  switch (number) {
    case SYS_nanosleep:
      return args[1] == 0;  // with a remainder argument the kernel tells
    case SYS_clock_nanosleep:
      return args[1] == 0 && args[3] == 0;
    case SYS_poll:
      return static_cast<int32_t>(args[2]) > 0;
    case SYS_futex:
      return (static_cast<int>(args[1]) & FUTEX_CMD_MASK) == FUTEX_WAIT && args[3] != 0;
    default:
      return false;
  }
}

Result<int64_t> scheduler_clock_offset_ns() {
  const ProcDir self = TRY(ProcDir::open("/proc/self"));
  int64_t smallest = INT64_MAX;
  // exec_start is brought up to date when a thread starts to run: right after a sleep it is the time
  // of waking, a moment before the clock below is read. The smallest difference is the best.
  for (int tries = 0; tries < 3; ++tries) {
    const timespec moment{0, 1000};
    nanosleep(&moment, nullptr);
    const int64_t now = monotonic_now_ns();
    const procfs::SchedInfo sched = TRY(procfs::parse_sched(TRY(self.read("sched"))));
    smallest = std::min(smallest, now - static_cast<int64_t>(sched.exec_start_ns));
  }
  return smallest;
}

SleepSamples sample_sleeps(const TaskHandle& task) {
  SleepSamples samples;
  const auto tids = task.proc().list_numbers("task");
  if (!tids) return samples;
  Result<int64_t> offset = fail(ErrorKind::kFailed, "not read yet");
  for (const int tid : *tids)
    // A thread that is gone or can't be looked at has no sample; its call returns EINTR at worst.
    (void)sample_thread(task.proc(), Tid(tid), offset, samples);
  samples.note_timers();
  return samples;
}

}  // namespace cryostat::task
