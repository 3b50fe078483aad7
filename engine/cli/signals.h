// Signals to a tool become a stop request.
#pragma once

#include "engine/base/deadline.h"

namespace cryostat::cli {

// Makes descriptors 0, 1 and 2 exist, and sets aside what the caller left behind: a blocked signal
// mask and an ignored SIGCHLD. Ignores SIGXFSZ. Call first in main.
void settle_process();

// SIGINT, SIGTERM, SIGHUP and SIGQUIT set `stop` from now on (a signal ignored by the caller stays
// ignored); SIGPIPE is ignored. System calls are interrupted, not restarted. `stop` must live until
// the process ends. A signal queued with sigqueue(3) carries the number to report in its value.
void install_stop_handlers(StopRequest* stop);

}  // namespace cryostat::cli
