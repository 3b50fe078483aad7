#include "engine/task/seccomp.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ptrace.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "engine/base/plan_report.h"
#include "engine/ptrace/tracee.h"
#include "engine/task/start_state.h"
#include "proto/seccomp.pb.h"
#include "proto/task.pb.h"

namespace cryostat::task {

namespace {

constexpr int kModeFilter = 2;
// ptrace(2): linux/ptrace.h and sys/ptrace.h can't be included together.
constexpr auto kGetMetadata = static_cast<__ptrace_request>(0x420d);  // 4.16
struct FilterMetadata {
  uint64_t filter_index;
  uint64_t flags;
};
// The kernel allows 32768 instructions over all programs of a thread (MAX_INSNS_PER_PATH).
constexpr size_t kMaxFilters = 32768 / 4;

// A program that can return SECCOMP_RET_USER_NOTIF has a supervisor somewhere that answers it.
bool asks_supervisor(const std::vector<uint64_t>& program) {
  return std::ranges::any_of(program, [](uint64_t bits) {
    const auto insn = std::bit_cast<sock_filter>(bits);
    return insn.code == (BPF_RET | BPF_K) &&
           (insn.k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF;
  });
}

// The program at `index`, 0 being the newest; nothing past the oldest. What makes it unreadable is
// a refusal.
Result<std::optional<std::vector<uint64_t>>> read_filter(Tid tid, size_t index) {
  auto program = ptrace::get_seccomp_filter(tid, static_cast<unsigned>(index));
  if (program || program.error().kind() == ErrorKind::kTargetGone) return program;
  return fail(ErrorKind::kRefused,
              "seccomp programs can't be read (" + program.error().message() + ")");
}

uint64_t read_flags(Tid tid, size_t index) {
  FilterMetadata metadata{index, 0};
  if (::ptrace(kGetMetadata, tid.value, sizeof(metadata), &metadata) < 0) return 0;
  return metadata.flags;
}

}  // namespace

Result<void> save_seccomp(Tid tid, int mode, pb::Seccomp& image) {
  image.set_mode(static_cast<uint32_t>(std::max(0, mode)));
  if (mode != kModeFilter) return {};
  std::vector<pb::SeccompFilter> newest_first;
  while (newest_first.size() < kMaxFilters) {
    const size_t index = newest_first.size();
    const auto program = TRY(read_filter(tid, index));
    if (!program) break;
    if (asks_supervisor(*program))
      return fail(
          ErrorKind::kRefused,
          "seccomp program with a supervisor (SECCOMP_RET_USER_NOTIF) can't be checkpointed");
    pb::SeccompFilter& saved = newest_first.emplace_back();
    saved.set_instructions(program->data(), program->size() * sizeof(sock_filter));
    saved.set_flags(read_flags(tid, index));
  }
  for (auto filter = newest_first.rbegin(); filter != newest_first.rend(); ++filter)
    *image.add_filters() = std::move(*filter);
  return {};
}

bool has_same_filters(const pb::Seccomp& a, const pb::Seccomp& b) {
  return std::ranges::equal(a.filters(), b.filters(), [](const auto& x, const auto& y) {
    return x.flags() == y.flags() && x.instructions() == y.instructions();
  });
}

void check_seccomp(const std::vector<pb::Thread>& threads, const StartState& start,
                   PlanReport& report) {
  const bool any =
      std::ranges::any_of(threads, [](const pb::Thread& t) { return t.seccomp().mode() != 0; });
  if (!any) return;
  if (start.thread.seccomp_mode != 0) {
    report.missing("seccomp", "cr-restore itself runs under seccomp",
                   "restore from a session without seccomp");
  } else if ((start.thread.cap_effective >> CAP_SYS_ADMIN & 1) == 0) {
    report.missing("seccomp", "CAP_SYS_ADMIN is needed to put seccomp programs back",
                   "restore as root", ErrorKind::kPermission);
  } else {
    report.ok("seccomp");
  }
}

size_t common_filter_count(const std::vector<pb::Thread>& threads) {
  const auto& first = threads.front().seccomp().filters();
  auto common = static_cast<size_t>(first.size());
  for (const pb::Thread& thread : threads) {
    const auto& own = thread.seccomp().filters();
    common = std::min(common, static_cast<size_t>(own.size()));
    for (size_t i = 0; i < common; ++i) {
      const auto& a = first[static_cast<int>(i)];
      const auto& b = own[static_cast<int>(i)];
      if (a.flags() != b.flags() || a.instructions() != b.instructions()) common = i;
    }
  }
  return common;
}

wire::WireSpan<wire::SeccompFilterState> plan_filters(const pb::Seccomp& image, size_t first,
                                                      size_t last, WireArena& arena) {
  std::vector<wire::SeccompFilterState> filters;
  for (size_t i = first; i < last; ++i) {
    const pb::SeccompFilter& saved = image.filters(static_cast<int>(i));
    std::vector<uint64_t> instructions(saved.instructions().size() / sizeof(sock_filter));
    std::memcpy(instructions.data(), saved.instructions().data(),
                instructions.size() * sizeof(uint64_t));
    // Without this flag some kernels change the speculation controls, which are restored on their
    // own.
    filters.push_back({arena.append(instructions), saved.flags() | SECCOMP_FILTER_FLAG_SPEC_ALLOW});
  }
  return arena.append(filters);
}

}  // namespace cryostat::task
