// cr-dump: saves a running process to a folder.
#include <unistd.h>

#include <string>

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

// What the front sets up before the target is touched.
struct Prepared {
  UniqueFd log;
  UniqueFd trace;
};

Result<Prepared> prepare(const cli::DumpOptions& options) {
  Prepared prepared;
  prepared.log = TRY(cli::open_log(options.shared, options.dump.work_dir));
  prepared.trace = TRY(cli::open_trace(options.shared));
  return prepared;
}

int prepare_and_dump(const cli::DumpOptions& options) {
  const auto prepared = prepare(options);
  if (!prepared) return cli::tell_failure(kTool, prepared.error(), options.shared.json);
  return cli::run_in_worker(kTool, [&](const StopRequest& stop) {
    return cli::guarded(kTool, [&] { return dump_and_tell(options, prepared->trace, stop); });
  });
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
  if (options->dump.dry_run) return prepare_and_dump(*options);
  const std::string& folder = options->dump.images_dir;
  const auto created = cli::make_dir(folder);
  if (!created) return cli::tell_failure(kTool, created.error(), options->shared.json);
  const int code = prepare_and_dump(*options);
  // A folder made for nothing goes again, unless something (a log) was put into it.
  if (code != 0 && *created) ::rmdir(folder.c_str());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  cli::settle_process();
  return cli::guarded(kTool, [&] { return run(cli::arguments_of(argc, argv)); });
}
