// Spans summed into the stages of a statistics record.
#pragma once

#include <span>

#include "engine/base/span.h"

namespace cryostat::image {

// Appends one pb::StageTime for each name, in order: the time of all spans so called. `stats` is a
// pb::DumpStats or pb::RestoreStats.
template <typename Stats>
void add_stage_times(std::span<const char* const> names, Stats& stats) {
  for (const char* name : names) {
    auto* stage = stats.add_stages();
    stage->set_name(name);
    stage->set_duration_ns(SpanLog::get().total_ns(name));
  }
}

}  // namespace cryostat::image
