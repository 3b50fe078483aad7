// Tasks that share an address space: one of them, the leader, rebuilds it, while the others wait in
// areas of their own.
#pragma once

#include "proto/wire/restorer.h"

namespace cryostat::restorer {

// Leader: returns when no follower runs code outside its area any more.
void await_followers(wire::RestorerPlan& plan);
// Leader: the address space is rebuilt.
void release_followers(wire::RestorerPlan& plan);
// Follower: returns when the address space is rebuilt. (When that fails, nobody lives on.)
void follow(const wire::RestorerPlan& plan);

}  // namespace cryostat::restorer
