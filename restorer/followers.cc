#include "restorer/followers.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include "engine/kernel/raw_syscall.h"
#include "restorer/threads.h"

namespace cryostat::restorer {

void await_followers(wire::RestorerPlan& plan) {
  if (plan.followers.count == 0) return;
  wait_until_at_least(&plan.followers_inside, static_cast<uint32_t>(plan.followers.count));
}

void release_followers(wire::RestorerPlan& plan) {
  if (plan.followers.count == 0) return;
  __atomic_store_n(&plan.memory_ready, 1, __ATOMIC_RELEASE);
  constexpr uint64_t kEverybody = 0x7fffffff;
  raw_syscall(SYS_futex, reinterpret_cast<uint64_t>(&plan.memory_ready), FUTEX_WAKE_PRIVATE,
              kEverybody);
}

void follow(const wire::RestorerPlan& plan) {
  auto* leader = reinterpret_cast<wire::RestorerPlan*>(plan.leader_plan);
  count_up(&leader->followers_inside, static_cast<uint32_t>(leader->followers.count));
  wait_until_at_least(&leader->memory_ready, 1);
}

}  // namespace cryostat::restorer
