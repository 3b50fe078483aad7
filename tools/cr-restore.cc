// cr-restore: brings a saved process back to life.
#include <unistd.h>

#include <optional>

#include "engine/base/progress.h"
#include "engine/cli/options.h"
#include "engine/cli/output_file.h"
#include "engine/cli/signals.h"
#include "engine/cli/statistics.h"
#include "engine/cli/supervise.h"
#include "engine/cli/tool.h"
#include "engine/restore/restore.h"

using namespace cryostat;

namespace {

constexpr const char* kTool = "cr-restore";

// Signal handlers refer to it until the process ends.
StopRequest stop;

Result<void> write_pidfile(const cli::RestoreOptions& options, HostPid root) {
  if (options.pidfile.empty()) return {};
  const std::string path = cli::path_in(options.restore.work_dir, options.pidfile);
  const UniqueFd file = TRY(cli::create_file(path, "pidfile"));
  return cli::write_all(file.get(), std::to_string(root.value) + "\n", path);
}

void tell_success(const cli::RestoreOptions& options, const Result<restore::Outcome>& outcome) {
  if (options.shared.json) {
    cli::print_json(cli::json_result(outcome));
    return;
  }
  for (const std::string& line : outcome->plan_lines) cli::print(line + "\n");
  if (options.shared.display_stats) cli::print(cli::stats_table(*outcome));
}

int restore_and_tell(cli::RestoreOptions& options, const UniqueFd& trace) {
  std::optional<cli::Supervisor> supervisor;
  if (!options.restore.detached && !options.restore.dry_run)
    supervisor.emplace(options.restore.shell_job);
  options.restore.before_release = [&](HostPid root) -> Result<void> {
    TRY(write_pidfile(options, root));
    if (supervisor) supervisor->hand_over(root.value);
    return {};
  };
  TerminalProgress progress(STDERR_FILENO, "restoring");
  const auto outcome = restore::run(options.restore, stop, progress);
  progress.finish();
  // The restore stands or falls without its trace: a failure to write it is told, no more.
  const auto traced = cli::write_trace(trace, options.shared, kTool);
  if (!outcome) {
    if (supervisor) supervisor->give_up();
    return cli::tell_failure(kTool, outcome.error(), options.shared.json);
  }
  tell_success(options, outcome);
  int code = 0;
  if (!traced) code = cli::tell_failure(kTool, traced.error(), false);
  return supervisor ? supervisor->wait(stop) : code;
}

int run(std::span<const char* const> arguments) {
  auto options = cli::parse_restore(arguments, cli::ConfigPaths::from_environment());
  if (!options) return cli::tell_failure(kTool, options.error(), cli::wants_json(arguments));
  if (options->shared.help) {
    cli::print(cli::restore_help());
    return 0;
  }
  if (options->shared.version) {
    cli::print(cli::version_text(kTool));
    return 0;
  }
  cli::install_stop_handlers(&stop);
  const auto log = cli::open_log(options->shared, options->restore.work_dir);
  if (!log) return cli::tell_failure(kTool, log.error(), options->shared.json);
  const auto trace = cli::open_trace(options->shared);
  if (!trace) return cli::tell_failure(kTool, trace.error(), options->shared.json);
  return restore_and_tell(*options, *trace);
}

}  // namespace

int main(int argc, char** argv) {
  cli::settle_process();
  return cli::guarded(kTool, [&] { return run(cli::arguments_of(argc, argv)); });
}
