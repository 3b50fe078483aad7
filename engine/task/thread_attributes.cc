#include "engine/task/thread_attributes.h"

#include <algorithm>
#include <cstring>

#include "engine/image/memory_policy.h"
#include "engine/task/start_state.h"
#include "proto/task.pb.h"

namespace cryostat::task {

namespace {

// PR_GET_SPECULATION_CTRL words (linux/prctl.h).
constexpr uint32_t kSpecPrctl = 1u << 0;  // the thread may choose
constexpr uint32_t kSpecChoices = 0x1e;   // enable, disable, force-disable, disable-noexec

// Getters answer -errno where the kernel or the CPU has no such thing: kept as 0.
uint32_t or_zero(int32_t value) { return static_cast<uint32_t>(std::max(0, value)); }

bool can_choose(uint32_t word) { return (word & kSpecPrctl) != 0; }

struct SpeculationChoice {
  uint32_t value;
  bool differs;
};
SpeculationChoice choose(uint32_t wanted, int32_t own) {
  const uint32_t choice = wanted & kSpecChoices;
  return {choice, can_choose(wanted) && choice != 0 && choice != (or_zero(own) & kSpecChoices)};
}

bool same_policy(const wire::MemoryPolicyState& a, const wire::MemoryPolicyState& b) {
  return std::max(a.mode, 0) == std::max(b.mode, 0) && std::ranges::equal(a.nodes, b.nodes);
}

}  // namespace

void save_thread_attributes(const wire::ThreadStateReport& report, pb::Thread& image) {
  image.set_comm(report.comm, strnlen(report.comm, sizeof(report.comm)));
  image.mutable_robust_list()->set_head(report.robust_list_head);
  image.mutable_robust_list()->set_size_bytes(report.robust_list_size_bytes);
  image.set_clear_child_tid(report.clear_child_tid);
  image.set_parent_death_signal(or_zero(report.parent_death_signal));
  image.set_tsc_mode(or_zero(report.tsc_mode));
  image.set_io_flusher(report.io_flusher == 1);
  image.set_speculation_store_bypass(or_zero(report.speculation_store_bypass));
  image.set_speculation_indirect_branch(or_zero(report.speculation_indirect_branch));
  image.set_speculation_l1d_flush(or_zero(report.speculation_l1d_flush));
  image.set_cpuid_faulting(report.cpuid_enabled == 0 ? 1 : 0);
  image.set_mce_kill_policy(or_zero(report.mce_kill_policy));
  image.set_personality(static_cast<uint32_t>(report.personality));
  if (report.memory_policy.mode > 0)
    image::save_policy(report.memory_policy, *image.mutable_memory_policy());
}

void plan_thread_attributes(const pb::Thread& image, const StartState& start,
                            wire::ThreadState& state) {
  const wire::ThreadStateReport& own = start.thread;
  const auto plan = [&](bool differs, wire::ThreadStateCalls call) {
    if (differs) state.calls |= call;
  };
  const size_t length = std::min(image.comm().size(), sizeof(state.comm) - 1);
  std::memcpy(state.comm, image.comm().data(), length);
  plan(std::strncmp(state.comm, own.comm, sizeof(own.comm)) != 0, wire::kSetComm);
  state.robust_list_head = image.robust_list().head();
  state.robust_list_size_bytes = image.robust_list().size_bytes();
  plan(image.robust_list().head() != 0, wire::kSetRobustList);
  state.clear_child_tid = image.clear_child_tid();
  state.rseq_address = image.rseq().address();
  state.rseq_size_bytes = image.rseq().size_bytes();
  state.rseq_signature = image.rseq().signature();
  state.rseq_flags = image.rseq().flags();
  plan(image.rseq().address() != 0, wire::kSetRseq);
  state.parent_death_signal = static_cast<int32_t>(image.parent_death_signal());
  plan(image.parent_death_signal() != 0, wire::kSetParentDeathSignal);
  state.tsc_mode = image.tsc_mode();
  plan(image.tsc_mode() != 0 && image.tsc_mode() != or_zero(own.tsc_mode), wire::kSetTsc);
  state.io_flusher = image.io_flusher() ? 1 : 0;
  plan(image.io_flusher() != (own.io_flusher == 1), wire::kSetIoFlusher);
  const auto bypass = choose(image.speculation_store_bypass(), own.speculation_store_bypass);
  state.store_bypass = bypass.value;
  plan(bypass.differs, wire::kSetStoreBypass);
  const auto branch = choose(image.speculation_indirect_branch(), own.speculation_indirect_branch);
  state.indirect_branch = branch.value;
  plan(branch.differs, wire::kSetIndirectBranch);
  const auto flush = choose(image.speculation_l1d_flush(), own.speculation_l1d_flush);
  state.l1d_flush = flush.value;
  plan(flush.differs, wire::kSetL1dFlush);
  state.cpuid_enabled = image.cpuid_faulting() ? 0 : 1;
  plan((image.cpuid_faulting() != 0) != (own.cpuid_enabled == 0), wire::kSetCpuid);
  state.mce_kill_policy = image.mce_kill_policy();
  plan(image.mce_kill_policy() != or_zero(own.mce_kill_policy), wire::kSetMceKill);
  state.personality = image.personality();
  state.memory_policy = image::plan_policy(image.memory_policy());
  plan(!same_policy(state.memory_policy, own.memory_policy), wire::kSetMemoryPolicy);
  plan(image.personality() != static_cast<uint32_t>(own.personality), wire::kSetPersonality);
}

}  // namespace cryostat::task
