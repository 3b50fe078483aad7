#include "engine/dump/dump.h"

namespace cryostat::dump {

Result<Outcome> run(const Options&, const StopRequest& stop, Progress&) {
  TRY(stop.check());
  return fail(ErrorKind::kFailed, "dump: the stages are not joined yet");
}

}  // namespace cryostat::dump
