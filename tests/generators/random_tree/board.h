// Memory that all members of a tree share, and the turns they take by it: the root asks one member
// at a time to do something and waits until it is done.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>

namespace random_tree {

constexpr uint32_t kMostMembers = 64;

// What the root may ask of a member.
enum class Request : uint32_t {
  kStep,   // the step of the history with number `argument`
  kLook,   // write down all that can be seen without changing it
  kPoke,   // change a little of whatever may be shared
  kDrain,  // take out all that waits: data, messages, signals, children
};

// How a member waits for its turn.
enum class Waiting : uint32_t { kFutex, kSleep, kPoll, kCount };

class Board {
 public:
  // In memory that is inherited by every process forked from now on. Ends the program on failure.
  static Board* create();

  // The member's side. Returns at the next request; what waits meanwhile is interrupted by signals.
  Request wait_turn(uint32_t member, Waiting waiting, uint64_t& argument);
  void answer(uint32_t member);
  void set_pid(uint32_t member, pid_t pid) { slots_[member].pid = pid; }

  // The root's side.
  void tell(uint32_t member, Request request, uint64_t argument);
  // False when the member hasn't answered after some seconds.
  bool ask(uint32_t member, Request request, uint64_t argument);
  pid_t pid(uint32_t member) const { return slots_[member].pid; }
  // A member that was just forked has said its number, or has not within some seconds.
  bool wait_pid(uint32_t member) const;

 private:
  struct Slot {
    std::atomic<uint32_t> turn;  // odd: asked; even: answered
    Request request;
    uint64_t argument;
    std::atomic<pid_t> pid;
  };
  Slot slots_[kMostMembers];
};

}  // namespace random_tree
