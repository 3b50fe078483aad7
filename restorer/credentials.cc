#include "restorer/credentials.h"

namespace cryostat::restorer {

namespace {

using wire::StateCall;
using wire::ThreadState;
using namespace wire::calls;

void set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable,
                      uint64_t subject, StateStep& step) {
  CapHeader header;
  CapData data[2];
  for (int half = 0; half < 2; ++half) {
    data[half].effective = static_cast<uint32_t>(effective >> (32 * half));
    data[half].permitted = static_cast<uint32_t>(permitted >> (32 * half));
    data[half].inheritable = static_cast<uint32_t>(inheritable >> (32 * half));
  }
  step.run(StateCall::kCapset, subject, __NR_capset, address_of(&header), address_of(data));
}

void apply_ids(const ThreadState& state, void* arena, StateStep& step) {
  if (state.calls & wire::kSetGroups)
    step.run(StateCall::kGroups, state.tid, __NR_setgroups, state.groups.count,
             address_of(state.groups.in(arena)));
  if (!(state.calls & wire::kSetIds)) return;
  // With this bit a change of user ids leaves the capability sets alone. It may be locked already:
  // then it has the value it had in the target, and the ids are as wanted or the call below fails.
  if (!(state.start_securebits & kSecbitNoSetuidFixup))
    step.run(StateCall::kSecurebits, state.tid, __NR_prctl, kPrSetSecurebits,
             state.start_securebits | kSecbitNoSetuidFixup);
  step.run(StateCall::kGids, state.gid[1], __NR_setresgid, state.gid[0], state.gid[1],
           state.gid[2]);
  step.run(StateCall::kUids, state.uid[1], __NR_setresuid, state.uid[0], state.uid[1],
           state.uid[2]);
  // Neither reports an error: they return the previous id.
  raw_syscall(__NR_setfsgid, state.gid[3]);
  raw_syscall(__NR_setfsuid, state.uid[3]);
}

// Needs CAP_SETPCAP, which is still effective here.
void apply_inherited_sets(const ThreadState& state, StateStep& step) {
  // Inheritable bits must be in the bounding set when they are added, so they go first.
  set_capabilities(state.start_cap_effective, state.start_cap_permitted, state.cap_inheritable, 1,
                   step);
  for (uint64_t bit = 0; bit < 64; ++bit) {
    if (state.cap_bounding_drop >> bit & 1)
      step.run(StateCall::kBounding, bit, __NR_prctl, kPrCapbsetDrop, bit, 0, 0, 0);
    if (state.cap_ambient_drop >> bit & 1)
      step.run(StateCall::kAmbient, bit, __NR_prctl, kPrCapAmbient, kPrCapAmbientLower, bit, 0, 0);
    if (state.cap_ambient >> bit & 1)
      step.run(StateCall::kAmbient, bit, __NR_prctl, kPrCapAmbient, kPrCapAmbientRaise, bit, 0, 0);
  }
}

}  // namespace

void apply_credentials(const ThreadState& state, void* arena, StateStep& step) {
  apply_ids(state, arena, step);
  if (state.calls & wire::kSetCapabilities) apply_inherited_sets(state, step);
  if (state.calls & wire::kSetSecurebits)
    step.run(StateCall::kSecurebits, state.securebits, __NR_prctl, kPrSetSecurebits,
             state.securebits);
  if (state.calls & wire::kSetCapabilities)
    set_capabilities(state.cap_effective, state.cap_permitted, state.cap_inheritable, 2, step);
}

}  // namespace cryostat::restorer
