// Checkpoint folders, changed at random behind right checksums, up to the plan of a restore: a dry
// run prints a plan or ends in an error.
#include "engine/base/deadline.h"
#include "engine/base/progress.h"
#include "engine/restore/restore.h"
#include "tests/fuzz/checkpoint_input.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cryostat::restore::Options options;
  options.images_dir = cryostat::fuzz::write_input(data, size);
  options.dry_run = true;
  const cryostat::StopRequest stop;
  cryostat::Progress progress;
  const auto outcome = cryostat::restore::run(options, stop, progress);
  if (!outcome && outcome.error().message().empty()) __builtin_trap();
  return 0;
}
