#include "engine/restore/stop_description.h"

#include <fmt/format.h>

#include "engine/ptrace/tracee.h"

namespace cryostat::restore {

std::string describe_stop(Tid tid, const WaitStatus& status) {
  if (!status.is(WaitStatus::Kind::kSignalStop)) return status.describe();
  const auto info = ptrace::get_siginfo(tid);
  const auto registers = ptrace::get_registers(tid);
  if (!info.has_value() || !registers.has_value()) return status.describe();
  return fmt::format("got {} (code {}) at {:#x}, address {}", signal_name(status.signal()),
                     info->si_code, registers->rip, fmt::ptr(info->si_addr));
}

}  // namespace cryostat::restore
