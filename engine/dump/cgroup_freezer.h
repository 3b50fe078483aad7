// The freezer of a control group, version 1 (freezer.state) or 2 (cgroup.freeze), while a tree is
// seized (--freeze-cgroup): nobody in the group forks or starts a thread meanwhile.
//
// A frozen task runs nothing, the parasite neither; so the group is thawed again as soon as every
// thread is seized and asked to stop: each then stops before it runs any code of its own.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::dump {

// Guard: whatever happens, the group ends up as it was found.
class CgroupFreezer {
 public:
  // `path`: the folder of the group, below wherever the hierarchy is mounted. kUsage when it is
  // none that can be frozen; kRefused when cr-dump is in it.
  static Result<CgroupFreezer> open(const std::string& path);
  CgroupFreezer(CgroupFreezer&& other) noexcept;
  CgroupFreezer& operator=(CgroupFreezer&&) = delete;
  // Backstop: put_back(), logged.
  ~CgroupFreezer();

  // Returns when every task of the group is frozen. At the deadline the group is as it was.
  Result<void> freeze(const Deadline& deadline, const StopRequest& stop);
  // So that seized tasks can run to their stops.
  Result<void> thaw();
  // As it was found: frozen again, if it was. Before tasks are released, after they were killed.
  Result<void> put_back();

 private:
  enum class Version : uint8_t { kOne, kTwo };
  enum class State : uint8_t { kThawed, kFrozen };
  CgroupFreezer(std::string path, UniqueFd folder, Version version)
      : path_(std::move(path)), folder_(std::move(folder)), version_(version) {}
  Result<void> ask_for(State state);
  Result<State> requested() const;
  Result<bool> is_frozen() const;
  Result<std::string> read(const char* file) const;

  std::string path_;
  UniqueFd folder_;
  Version version_;
  State found_ = State::kThawed;
  State now_ = State::kThawed;
};

}  // namespace cryostat::dump
