#include "engine/restore/restore.h"

namespace cryostat::restore {

Result<Outcome> run(const Options&, const StopRequest& stop, Progress&) {
  TRY(stop.check());
  return fail(ErrorKind::kFailed, "restore: the stages are not joined yet");
}

}  // namespace cryostat::restore
