#include "engine/base/deadline.h"

#include <cstring>

namespace cryostat {

Result<void> StopRequest::check() const {
  const int number = signal_number();
  if (number == 0) return {};
  if (number < 0) return fail(ErrorKind::kFailed, "interrupted: the front process is gone");
  const char* name = sigabbrev_np(number);
  return fail(ErrorKind::kFailed, std::string("interrupted by SIG") +
                                      (name != nullptr ? name : std::to_string(number)));
}

}  // namespace cryostat
