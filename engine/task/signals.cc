#include "engine/task/signals.h"

#include <algorithm>
#include <cstring>

#include "proto/signals.pb.h"
#include "proto/task.pb.h"

namespace cryostat::task {

namespace {

constexpr int kSsDisable = 2;
// Offset of si_sys_private, which is the kernel's own between a timer and its queued signal.
constexpr size_t kTimerPrivateOffset = 32;

constexpr uint64_t bit(int number) { return 1ull << (number - 1); }
constexpr uint64_t kNotQueued = bit(SIGKILL) | bit(SIGSTOP) | bit(SIGTRAP);

// libc's siginfo_t is the kernel's.
static_assert(sizeof(siginfo_t) == sizeof(wire::PendingSignalState));

uint64_t numbers_in(std::span<const siginfo_t> queue) {
  uint64_t set = 0;
  for (const siginfo_t& info : queue)
    if (info.si_signo >= 1 && info.si_signo <= 64) set |= bit(info.si_signo);
  return set;
}

void add(const siginfo_t& info, PendingSignals& image) {
  image.Add()->set_siginfo(&info, sizeof(info));
}

}  // namespace

void save_actions(const wire::TaskStateReport& report, pb::Task& image) {
  for (uint32_t number = 1; number <= wire::kSignalCount; ++number) {
    const wire::SignalActionState& action = report.actions[number - 1];
    if (action.handler == 0 && action.flags == 0 && action.mask == 0) continue;
    pb::SignalAction& saved = *image.add_actions();
    saved.set_number(number);
    saved.set_handler(action.handler);
    saved.set_flags(action.flags);
    saved.set_restorer(action.restorer);
    saved.set_mask(action.mask);
  }
}

namespace {
// A fault of the thread's own instruction, raised but not yet delivered: the instruction pointer is
// still on it, so it faults again as soon as the thread runs.
bool comes_again(const siginfo_t& info) {
  switch (info.si_signo) {
    case SIGSEGV:
    case SIGILL:
    case SIGFPE:
      return info.si_code > 0;
    case SIGBUS:
      return info.si_code > 0 && info.si_code != BUS_MCEERR_AO;
    default:
      return false;
  }
}
}  // namespace

uint64_t save_queue(std::span<const siginfo_t> queue, PendingSignals& image) {
  uint64_t left_out = 0;
  for (siginfo_t info : queue) {
    if (comes_again(info)) continue;
    if (info.si_signo >= 1 && info.si_signo <= 64 && (kNotQueued & bit(info.si_signo)) != 0) {
      left_out |= bit(info.si_signo) & ~bit(SIGKILL);
      continue;
    }
    if (info.si_code == SI_TIMER)
      std::memset(reinterpret_cast<char*>(&info) + kTimerPrivateOffset, 0, sizeof(int));
    add(info, image);
  }
  return left_out;
}

void save_unqueued(uint64_t pending, std::span<const siginfo_t> queued_shared,
                   std::span<const siginfo_t> queued_private, PendingSignals& image) {
  uint64_t bare = pending & ~numbers_in(queued_shared) & ~numbers_in(queued_private);
  bare &= ~kNotQueued;
  for (int number = 1; number <= 64; ++number) {
    if ((bare & bit(number)) == 0) continue;
    siginfo_t info{};
    info.si_signo = number;  // SI_USER from pid 0: what sigwait would see
    add(info, image);
  }
}

void save_alternate_stack(const wire::ThreadStateReport& report, pb::AlternateStack& image) {
  image.set_address(report.altstack_address);
  // SS_ONSTACK says where the stack pointer is just now; it is not part of the setting.
  image.set_flags(static_cast<uint32_t>(report.altstack_flags) &
                  ~static_cast<uint32_t>(SS_ONSTACK));
  image.set_size_bytes(report.altstack_size_bytes);
}

void plan_actions(const pb::Task& image, wire::TaskState& state) {
  for (const pb::SignalAction& saved : image.actions()) {
    if (saved.number() < 1 || saved.number() > wire::kSignalCount) continue;
    state.actions[saved.number() - 1] = {saved.handler(), saved.flags(), saved.restorer(),
                                         saved.mask()};
  }
}

wire::WireSpan<wire::PendingSignalState> plan_queue(const PendingSignals& image, WireArena& arena) {
  std::vector<wire::PendingSignalState> queue(static_cast<size_t>(image.size()));
  for (size_t i = 0; i < queue.size(); ++i) {
    const std::string& info = image[static_cast<int>(i)].siginfo();
    std::memcpy(queue[i].siginfo, info.data(), std::min(info.size(), sizeof(queue[i].siginfo)));
  }
  return arena.append(queue);
}

void plan_alternate_stack(const pb::AlternateStack& image, wire::ThreadState& state) {
  if (image.size_bytes() == 0 || (image.flags() & kSsDisable) != 0) return;
  state.calls |= wire::kSetAltStack;
  state.altstack_address = image.address();
  state.altstack_flags = static_cast<int32_t>(image.flags());
  state.altstack_size_bytes = image.size_bytes();
}

}  // namespace cryostat::task
