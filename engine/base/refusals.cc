#include "engine/base/refusals.h"

#include <fmt/format.h>

namespace cryostat {

void Refusals::add(HostPid pid, std::string object, std::string reason) {
  lines_.push_back(object.empty() ? fmt::format("pid {}: {}", pid.value, reason)
                                  : fmt::format("pid {} {}: {}", pid.value, object, reason));
}

Result<void> Refusals::check() const {
  if (lines_.empty()) return {};
  Error error(ErrorKind::kRefused, lines_.front());
  for (size_t i = 1; i < lines_.size(); ++i) error.add_line(lines_[i]);
  return tl::unexpected(std::move(error));
}

}  // namespace cryostat
