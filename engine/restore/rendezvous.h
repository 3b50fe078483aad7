// Memory that all tasks of a tree share with cr-restore while they are being restored: where they
// wait for each other and tell each other descriptor numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/error.h"

namespace cryostat::restore {

// Created before the first task is forked; every process has it at the same address. A process that
// waits in vain is killed by cr-restore, which learns of the failure of another one.
class Rendezvous {
 public:
  // Descriptors a task keeps from its birth on: the channel and the page stores of a chain.
  static constexpr size_t kMaxKept = 256;

  // In this order.
  enum class Point : uint32_t {
    kBorn,      // every process exists and leads its session or group, if it does
    kJoined,    // every process is in its group, but for those that leave one; only with such
    kGrouped,   // every process is in its group
    kCreated,   // every shared memory object exists
    kBorrowed,  // every owner has taken the socket pairs others have made for it
    kGivenUp,   // which have closed theirs; these two only where there are such pairs
    kOpened,    // every owner has opened what others have too
    kFetched,   // every task has got what it takes from others
    kReady,     // every task can enter the restorer, and cr-restore knows; cr-restore takes part
    kCount,
  };

  // What one task tells those it shares something with; each `…_ready` is set once, by signal().
  struct Member {
    uint32_t turn = 0;          // lock of the turn with this number: 0 free, 1 taken, 2 wanted
    uint32_t table_ready = 0;   // all descriptors of the table are in place
    uint32_t area_ready = 0;    // area_start and area_end are set
    uint32_t launch_ready = 0;  // the rest is set, and no path is needed any more
    uint64_t area_start = 0;
    uint64_t area_end = 0;
    uint64_t vdso_start = 0;
    uint64_t vdso_size_bytes = 0;
    uint64_t plan = 0;  // its wire::RestorerPlan
    uint32_t kept_count = 0;
    int kept[kMaxKept] = {};  // descriptors it has kept in a table that it shares
  };

  // Numbers for descriptions [0, description_count) and shared memory objects likewise; `tasks`
  // Members.
  static Result<Rendezvous> create(size_t description_count, size_t object_count, size_t tasks = 0);
  Rendezvous(Rendezvous&& other) noexcept;
  Rendezvous& operator=(Rendezvous&&) = delete;
  ~Rendezvous();

  // Counts this process in and waits until `expected` have come. All give the same number. `turn`:
  // the caller's, which another one can take meanwhile.
  void arrive(Point point, uint32_t expected, uint32_t turn = kNoTurn) const;
  // Counts this process in for those who wait, and goes on at once.
  void pass(Point point, uint32_t expected) const;

  // Tasks with a common address space or descriptor table run hosted code in turns: one that was
  // born into its creator's memory (CLONE_VM) begins with the creator's turn. Without libc, whose
  // errno they may have in common.
  static constexpr uint32_t kNoTurn = 0;
  void take_turn(uint32_t turn) const;
  void give_turn(uint32_t turn) const;
  static void signal(uint32_t& word);
  // Until it was signalled.
  void await(const uint32_t& word, uint32_t turn) const;
  std::span<Member> members() const { return {members_, member_count_}; }

  // Descriptor numbers in their owners; -1 until they are known.
  std::span<int> description_numbers() const { return {numbers_, description_count_}; }
  std::span<int> object_numbers() const { return {numbers_ + description_count_, object_count_}; }

 private:
  Rendezvous() = default;
  uint32_t* lock_of(uint32_t turn) const { return &members_[turn - 1].turn; }
  void* memory_ = nullptr;
  size_t size_bytes_ = 0;
  uint32_t* counters_ = nullptr;  // one for each point
  Member* members_ = nullptr;
  size_t member_count_ = 0;
  int* numbers_ = nullptr;
  size_t description_count_ = 0;
  size_t object_count_ = 0;
};

}  // namespace cryostat::restore
