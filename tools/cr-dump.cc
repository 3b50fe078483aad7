// cr-dump: saves a running process to a folder.
#include <unistd.h>

#include "engine/base/progress.h"
#include "engine/cli/options.h"
#include "engine/cli/output_file.h"
#include "engine/cli/signals.h"
#include "engine/cli/statistics.h"
#include "engine/cli/tool.h"
#include "engine/cli/worker.h"
#include "engine/dump/dump.h"

using namespace cryostat;

namespace {

constexpr const char* kTool = "cr-dump";

// In the worker: dumps and tells the result.
int dump_and_tell(const cli::DumpOptions& options, const UniqueFd& trace, const StopRequest& stop) {
  TerminalProgress progress(STDERR_FILENO, "dumping");
  const auto outcome = dump::run(options.dump, stop, progress);
  progress.finish();
  // The dump stands or falls without its trace: a failure to write it is told, but after the
  // result.
  const auto traced = cli::write_trace(trace, options.shared, kTool);
  if (options.shared.json && outcome) cli::print(cli::json_result(outcome));
  if (!outcome) return cli::tell_failure(kTool, outcome.error(), options.shared.json);
  if (options.shared.display_stats && !options.shared.json) cli::print(cli::stats_table(*outcome));
  if (options.dump.dry_run && !options.shared.json) cli::print("nothing is refused\n");
  return traced ? 0 : cli::tell_failure(kTool, traced.error(), false);
}

// Everything that may fail without the target having been touched.
Result<void> prepare(const cli::DumpOptions& options, UniqueFd* log, UniqueFd* trace) {
  if (!options.dump.dry_run) TRY(cli::make_dir(options.dump.images_dir));
  *log = TRY(cli::open_log(options.shared, options.dump.work_dir));
  *trace = TRY(cli::open_trace(options.shared));
  return {};
}

int run(std::span<const char* const> arguments) {
  const auto options = cli::parse_dump(arguments, cli::ConfigPaths::from_environment());
  if (!options) return cli::tell_failure(kTool, options.error(), cli::wants_json(arguments));
  if (options->shared.help) {
    cli::print(cli::dump_help());
    return 0;
  }
  if (options->shared.version) {
    cli::print(cli::version_text(kTool));
    return 0;
  }
  UniqueFd log;
  UniqueFd trace;
  if (const auto ready = prepare(*options, &log, &trace); !ready)
    return cli::tell_failure(kTool, ready.error(), options->shared.json);
  return cli::run_in_worker(kTool, [&](const StopRequest& stop) {
    return cli::guarded(kTool, [&] { return dump_and_tell(*options, trace, stop); });
  });
}

}  // namespace

int main(int argc, char** argv) {
  cli::settle_process();
  return cli::guarded(kTool, [&] { return run(cli::arguments_of(argc, argv)); });
}
