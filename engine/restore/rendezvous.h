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
  // In this order.
  enum class Point : uint32_t {
    kBorn,     // every process exists and leads its session or group, if it does
    kGrouped,  // every process is in its group
    kCreated,  // every shared memory object exists
    kOpened,   // every owner has opened what others have too
    kFetched,  // every task has got what it takes from others
    kReady,    // every task can enter the restorer, and cr-restore knows; cr-restore takes part
    kCount,
  };

  // Numbers for descriptions [0, description_count) and shared memory objects likewise.
  static Result<Rendezvous> create(size_t description_count, size_t object_count);
  Rendezvous(Rendezvous&& other) noexcept;
  Rendezvous& operator=(Rendezvous&&) = delete;
  ~Rendezvous();

  // Counts this process in and waits until `expected` have come. All give the same number.
  void arrive(Point point, uint32_t expected) const;

  // Descriptor numbers in their owners; -1 until they are known.
  std::span<int> description_numbers() const { return {numbers_, description_count_}; }
  std::span<int> object_numbers() const { return {numbers_ + description_count_, object_count_}; }

 private:
  Rendezvous() = default;
  void* memory_ = nullptr;
  size_t size_bytes_ = 0;
  uint32_t* counters_ = nullptr;  // one for each point
  int* numbers_ = nullptr;
  size_t description_count_ = 0;
  size_t object_count_ = 0;
};

}  // namespace cryostat::restore
