#include "engine/task/state_detail.h"

#include <fmt/format.h>

#include "engine/task/credentials.h"
#include "engine/task/limits.h"
#include "proto/wire/restorer_state.h"

namespace cryostat::task {

namespace {

using wire::StateCall;

// Words for the call; "{}" is its subject where that says something.
const char* words_of(StateCall call) {
  switch (call) {
    case StateCall::kSigaction:
      return "set the handler of signal {}";
    case StateCall::kQueueSignal:
      return "queue pending signal {}";
    case StateCall::kItimer:
      return "arm interval timer {}";
    case StateCall::kTimerCreate:
      return "create POSIX timer {}";
    case StateCall::kTimerSettime:
      return "arm POSIX timer {}";
    case StateCall::kDumpable:
      return "set dumpable to {}";
    case StateCall::kThpDisable:
      return "set THP disable to {}";
    case StateCall::kSubreaper:
      return "become a child subreaper";
    case StateCall::kMemoryMerge:
      return "enable memory merging";
    case StateCall::kMdwe:
      return "deny write-execute memory";
    case StateCall::kMembarrier:
      return "register membarrier command {}";
    case StateCall::kXcomp:
      return "ask for extended state component {}";
    case StateCall::kSeccomp:
      return "install seccomp program {}";
    case StateCall::kComm:
      return "set the name of thread {}";
    case StateCall::kAltStack:
      return "set the alternate signal stack of thread {}";
    case StateCall::kRobustList:
      return "set the robust list of thread {}";
    case StateCall::kRseq:
      return "register the rseq area of thread {}";
    case StateCall::kAffinity:
      return "set the CPU affinity of thread {}";
    case StateCall::kScheduling:
      return "set the scheduling policy of thread {}";
    case StateCall::kIoPriority:
      return "set I/O priority {}";
    case StateCall::kTimerSlack:
      return "set the timer slack of thread {}";
    case StateCall::kGroups:
      return "set the groups of thread {}";
    case StateCall::kGids:
      return "set the group ids (effective {})";
    case StateCall::kUids:
      return "set the user ids (effective {})";
    case StateCall::kSecurebits:
      return "set securebits {:#x}";
    case StateCall::kCapset:
      return "set the capabilities (step {})";
    case StateCall::kNoNewPrivs:
      return "set no_new_privs of thread {}";
    case StateCall::kParentDeathSignal:
      return "set parent-death signal {}";
    case StateCall::kTsc:
      return "set TSC mode {}";
    case StateCall::kIoFlusher:
      return "set I/O flusher to {}";
    case StateCall::kSpeculation:
      return "set speculation control {}";
    case StateCall::kCpuid:
      return "set CPUID faulting";
    case StateCall::kMceKill:
      return "set machine-check policy {}";
    case StateCall::kPersonality:
      return "set personality {:#x}";
    case StateCall::kMemoryPolicy:
      return "set the NUMA policy of thread {}";
    case StateCall::kTidAddress:
      return "set clear_child_tid of thread {}";
    default:
      return "set state ({})";
  }
}

}  // namespace

std::string describe_state_detail(uint64_t detail) {
  const auto call = static_cast<StateCall>(detail >> 32);
  const auto subject = static_cast<uint32_t>(detail);
  if (call == StateCall::kLimit) return "set " + limit_name(subject);
  if (call == StateCall::kBounding)
    return "drop " + capability_name(subject) + " from the bounding set";
  if (call == StateCall::kAmbient) return "set ambient " + capability_name(subject);
  return fmt::format(fmt::runtime(words_of(call)), subject);
}

}  // namespace cryostat::task
