#include "tests/generators/random_tree/history.h"

#include <algorithm>
#include <array>

#include "tests/generators/random_tree/random.h"

namespace random_tree {
namespace {

struct ActionInfo {
  const char* name;
  uint32_t weight;  // how often it is chosen; 0: by its own rule
};

constexpr std::array<ActionInfo, static_cast<size_t>(Action::kCount)> kActions = {{
    {"fork", 0},        {"fork an orphan", 0}, {"end", 3},          {"reap", 3},
    {"new session", 3}, {"new group", 3},      {"join a group", 3}, {"subreaper", 1},
    {"thread", 5},      {"open", 34},          {"duplicate", 7},    {"close", 6},
    {"send", 7},        {"receive", 5},        {"map", 9},          {"change memory", 14},
    {"protect", 3},     {"signal action", 4},  {"block", 5},        {"send a signal", 7},
    {"timer", 5},       {"attribute", 9},      {"credentials", 0},  {"stop", 0},
}};

class Writer {
 public:
  explicit Writer(uint64_t seed) : random_(seed ^ 0x74726565) {}

  History write() {
    alive_ = {0};
    // Mostly small trees: their failures are easier to understand.
    const uint32_t wanted = static_cast<uint32_t>(1 + random_.below(random_.chance(60)   ? 8
                                                                    : random_.chance(60) ? 20
                                                                                         : 40));
    const uint64_t steps = 12 + random_.below(20) + wanted * (4 + random_.below(8));
    for (uint64_t i = 0; i < steps; ++i) {
      const uint64_t births_left = wanted - history_.members;
      if (births_left != 0 && random_.below(steps - i) < births_left)
        add_birth();
      else
        add(pick_action());
    }
    add_last_steps();
    return std::move(history_);
  }

 private:
  void add_birth() {
    const Action action = random_.chance(85) ? Action::kFork : Action::kForkOrphan;
    const uint32_t parent = random_.pick(alive_);
    const uint32_t child = history_.members++;
    history_.steps.push_back({parent, action, child, random_.next()});
    alive_.push_back(child);
  }

  Action pick_action() {
    uint64_t sum = 0;
    for (const ActionInfo& info : kActions) sum += info.weight;
    uint64_t at = random_.below(sum);
    for (size_t i = 0; i < kActions.size(); ++i) {
      if (at < kActions[i].weight) return static_cast<Action>(i);
      at -= kActions[i].weight;
    }
    return Action::kOpen;
  }

  void add(Action action) {
    const uint32_t member = random_.pick(alive_);
    if (action == Action::kEnd) {
      if (member == 0) return;
      std::erase(alive_, member);
    }
    history_.steps.push_back({member, action, random_.pick(alive_), random_.next()});
  }

  // After these a member may no longer do everything, or nothing at all.
  void add_last_steps() {
    for (const uint32_t member : alive_) {
      if (member != 0 && random_.chance(8))
        history_.steps.push_back({member, Action::kCredentials, 0, random_.next()});
    }
    for (const uint32_t member : alive_) {
      if (member != 0 && random_.chance(8))
        history_.steps.push_back({member, Action::kStop, member, random_.next()});
    }
  }

  Random random_;
  History history_;
  std::vector<uint32_t> alive_;
};

}  // namespace

History make_history(uint64_t seed) { return Writer(seed).write(); }

std::string describe(const Step& step) {
  return "member " + std::to_string(step.member) + ": " +
         kActions[static_cast<size_t>(step.action)].name + ", " + std::to_string(step.other);
}

}  // namespace random_tree
