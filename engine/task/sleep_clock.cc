#include "engine/task/sleep_clock.h"

#include <fmt/format.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "engine/kernel/process_memory.h"
#include "engine/procfs/sched.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/task_handle.h"
#include "proto/wire/state_calls.h"

namespace cryostat::task {

namespace {

using wire::calls::KernelTimespec;

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kNanosPerMilli = 1'000'000;

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

bool is_epoll(uint64_t number) { return number == SYS_epoll_wait || number == SYS_epoll_pwait; }

// The call that sleeps in a kernel function (/proc/<tid>/wchan); 0 when it is none of ours, as for
// a thread that stands in a stop instead of sleeping. A continued nanosleep is a part of the
// scheduler for this purpose, so its caller shows.
uint64_t call_behind(std::string_view wchan, uint64_t number, const uint64_t (&args)[6]) {
  const auto has = [&](const char* part) { return wchan.find(part) != std::string_view::npos; };
  if (is_epoll(number)) return has("ep_poll") || has("epoll_wait") ? number : 0;
  if (has("poll")) return SYS_poll;
  if (has("futex")) return SYS_futex;
  if (!has("nanosleep") && !has("nsleep") && !has("restart_syscall") && !has("do_syscall_64"))
    return 0;
  // The first argument is a pointer in one, a small clock id in the other.
  constexpr uint64_t kMaxClockId = 64;
  return args[0] < kMaxClockId ? SYS_clock_nanosleep : SYS_nanosleep;
}

// Where a call has its timeout: the address of a timespec; 0 for poll.
uint64_t timeout_address(const SleepSample& sample) {
  switch (sample.original_number) {
    case SYS_nanosleep:
      return sample.args[0];
    case SYS_clock_nanosleep:
      return sample.args[2];
    case SYS_futex:
      return sample.args[3];
    default:
      return 0;
  }
}

Result<int64_t> read_timeout(HostPid pid, const SleepSample& sample) {
  if (sample.original_number == SYS_poll)
    return static_cast<int32_t>(sample.args[2]) * kNanosPerMilli;
  if (is_epoll(sample.original_number))
    return static_cast<int32_t>(sample.args[3]) * kNanosPerMilli;
  const auto time =
      TRY(kernel::read_object<KernelTimespec>(pid, RemoteAddr(timeout_address(sample))));
  if (time.s < 0 || time.s >= INT64_MAX / kNanosPerSecond / 2 || time.ns < 0)
    return fail(ErrorKind::kFailed, "malformed timeout");
  return time.s * kNanosPerSecond + time.ns;
}

// Samples the threads of one task.
class Sampler {
 public:
  explicit Sampler(const TaskHandle& task) : task_(task) {}
  Result<void> sample(Tid tid, SleepSamples& samples);

 private:
  Result<int64_t> began(const std::string& prefix);

  const TaskHandle& task_;
  std::map<int, Result<int64_t>> offsets_;  // by processor
};

Result<int64_t> Sampler::began(const std::string& prefix) {
  const auto sched = TRY(procfs::parse_sched(TRY(task_.proc().read(prefix + "sched"))));
  const auto stat = TRY(procfs::parse_stat(TRY(task_.proc().read(prefix + "stat"))));
  auto offset = offsets_.find(stat.processor);
  if (offset == offsets_.end())
    offset = offsets_.emplace(stat.processor, scheduler_clock_offset_ns(stat.processor)).first;
  if (!offset->second) return tl::unexpected(offset->second.error());
  return static_cast<int64_t>(sched.exec_start_ns) + *offset->second;
}

Result<void> Sampler::sample(Tid tid, SleepSamples& samples) {
  const std::string prefix = fmt::format("task/{}/", tid.value);
  SleepSample sample = TRY(parse_sleeping_call(TRY(task_.proc().read(prefix + "syscall"))));
  const bool continued = sample.number == SYS_restart_syscall;
  if (!continued && !is_timed_call(sample.number, sample.args)) return {};
  sample.original_number =
      call_behind(TRY(task_.proc().read(prefix + "wchan")), sample.number, sample.args);
  if (!is_timed_call(sample.original_number, sample.args)) {
    // Which call it is, is worth knowing even when the kernel tells the time left.
    if (continued && sample.original_number != 0) samples.add(tid, sample);
    return {};
  }
  sample.timeout_ns = TRY(read_timeout(task_.pid(), sample));
  if (!continued) {
    if (const auto began_ns = began(prefix)) {
      sample.began_monotonic_ns = *began_ns;
      sample.ends_monotonic_ns = *began_ns + sample.timeout_ns;
    }
  }
  samples.add(tid, sample);
  return {};
}

// Timers that other programs arm and disarm all the time are not in both.
std::vector<SleepTimer> steady_timers() {
  const std::vector<SleepTimer> first = read_timer_list();
  std::vector<SleepTimer> steady = read_timer_list();
  std::erase_if(steady, [&](const SleepTimer& timer) {
    return std::ranges::find(first, timer) == first.end();
  });
  return steady;
}

// The timer that ends nearest to the estimate, if one is near enough.
std::vector<SleepTimer>::iterator nearest(std::vector<SleepTimer>& timers,
                                          const SleepSample& sample, int64_t now_ns) {
  const auto distance = [&](const SleepTimer& timer) {
    return std::abs(timer.end_ns - sample.ends_monotonic_ns);
  };
  const auto best = std::ranges::min_element(timers, {}, distance);
  const int64_t tolerance =
      100 * kNanosPerMilli + std::max<int64_t>(0, now_ns - sample.began_monotonic_ns) / 20;
  return best != timers.end() && distance(*best) <= tolerance ? best : timers.end();
}

// The only timer that can be that of a continued call.
const SleepTimer* only_candidate(const std::vector<SleepTimer>& timers, const SleepSample& sample,
                                 int64_t now_ns) {
  // What poll(2) allows itself to be late by depends on the timeout; the others have the slack of
  // the thread, which hardly anyone changes (PR_SET_TIMERSLACK).
  constexpr int64_t kUsualSlack = 50'000;
  const SleepTimer* found = nullptr;
  const SleepTimer* found_usual = nullptr;
  int count = 0;
  int usual = 0;
  for (const SleepTimer& timer : timers) {
    if (timer.end_ns - now_ns > sample.timeout_ns) continue;
    found = &timer;
    ++count;
    if (sample.original_number == SYS_poll || timer.slack_ns != kUsualSlack) continue;
    found_usual = &timer;
    ++usual;
  }
  if (count == 1) return found;
  return usual == 1 ? found_usual : nullptr;
}

}  // namespace

const SleepSample* SleepSamples::find(Tid tid) const {
  const auto found = samples_.find(tid.value);
  return found == samples_.end() ? nullptr : &found->second;
}

bool SleepSamples::need_timers() const {
  // A wait that is shorter than the freeze itself is hardly longer when it is waited again.
  constexpr int64_t kShortest = kNanosPerMilli;
  return std::ranges::any_of(
      samples_, [](const auto& entry) { return entry.second.timeout_ns >= kShortest; });
}

void SleepSamples::settle(std::vector<SleepTimer> after, int64_t now_ns) {
  auto vanished = std::move(timers_before_);
  timers_before_.clear();
  std::ranges::sort(after);
  std::erase_if(vanished, [&](const SleepTimer& timer) {
    return timer.end_ns <= now_ns || std::ranges::binary_search(after, timer);
  });
  std::vector<SleepSample*> unknown;
  for (auto& [tid, sample] : samples_) {
    if (sample.timeout_ns == 0) continue;
    if (sample.ends_monotonic_ns == 0) {
      unknown.push_back(&sample);
    } else if (const auto timer = nearest(vanished, sample, now_ns); timer != vanished.end()) {
      sample.ends_monotonic_ns = timer->end_ns;
      vanished.erase(timer);
    }
  }
  // With several nothing tells whose timer is whose.
  if (unknown.size() != 1) return;
  if (const SleepTimer* timer = only_candidate(vanished, *unknown[0], now_ns))
    unknown[0]->ends_monotonic_ns = timer->end_ns;
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
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
      return static_cast<int32_t>(args[3]) > 0;
    case SYS_futex:
      return (static_cast<int>(args[1]) & FUTEX_CMD_MASK) == FUTEX_WAIT && args[3] != 0;
    default:
      return false;
  }
}

Result<int64_t> scheduler_clock_offset_ns(int cpu) {
  const ProcDir self = TRY(ProcDir::open("/proc/thread-self"));
  cpu_set_t own;
  if (sched_getaffinity(0, sizeof(own), &own) != 0) return fail_errno("read own CPU affinity");
  cpu_set_t there;
  CPU_ZERO(&there);
  CPU_SET(cpu, &there);
  if (sched_setaffinity(0, sizeof(there), &there) != 0)
    return fail_errno(fmt::format("move to CPU {}", cpu));
  Result<int64_t> smallest = INT64_MAX;
  // exec_start is brought up to date when a thread starts to run: right after a sleep it is the
  // time of waking, a moment before the clock below is read. The smallest difference is the best.
  for (int tries = 0; tries < 3 && smallest; ++tries) {
    const timespec moment{0, 1000};
    nanosleep(&moment, nullptr);
    const int64_t now = monotonic_now_ns();
    const auto text = self.read("sched");
    const auto sched = text ? procfs::parse_sched(*text) : tl::unexpected(text.error());
    if (sched) {
      smallest = std::min(*smallest, now - static_cast<int64_t>(sched->exec_start_ns));
    } else {
      smallest = tl::unexpected(sched.error());
    }
  }
  (void)sched_setaffinity(0, sizeof(own), &own);
  return smallest;
}

SleepSamples sample_sleeps(const TaskHandle& task) {
  SleepSamples samples;
  const auto tids = task.proc().list_numbers("task");
  if (!tids) return samples;
  Sampler sampler(task);
  // A thread that is gone or can't be looked at has no sample.
  for (const int tid : *tids) (void)sampler.sample(Tid(tid), samples);
  if (samples.need_timers()) samples.note_timers(steady_timers());
  return samples;
}

}  // namespace cryostat::task
