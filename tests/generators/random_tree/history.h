// The random history of a tree: steps that its members take one after the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace random_tree {

enum class Action : uint8_t {
  kFork,        // `other` is born
  kForkOrphan,  // `other` is born by a child that ends at once
  kEnd,         // exits or is killed; nobody waits for it yet
  kReap,        // collects children that have ended
  kNewSession,
  kNewGroup,
  kJoinGroup,  // that of `other`
  kSubreaper,
  kThread,
  kOpen,  // a new object
  kDuplicate,
  kClose,
  kSend,  // a descriptor into a mailbox
  kReceive,
  kMap,
  kChangeMemory,
  kProtectMemory,
  kSignalAction,
  kBlockSignals,
  kSendSignal,  // to `other`
  kTimer,
  kAttribute,
  kCredentials,
  kStop,  // done by the root
  kCount,
};

struct Step {
  uint32_t member = 0;
  Action action = Action::kFork;
  uint32_t other = 0;
  uint64_t seed = 0;  // of everything else
};

struct History {
  std::vector<Step> steps;
  uint32_t members = 1;  // how many are born in all, the root included
};

History make_history(uint64_t seed);
std::string describe(const Step& step);

}  // namespace random_tree
