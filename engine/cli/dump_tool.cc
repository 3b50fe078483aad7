#include "engine/cli/dump_tool.h"

#include <unistd.h>

#include "engine/base/log.h"
#include "engine/cli/output_file.h"
#include "engine/cli/signals.h"
#include "engine/cli/statistics.h"
#include "engine/cli/tool.h"
#include "engine/cli/worker.h"
#include "engine/image/dedup.h"

namespace cryostat::cli {

namespace {

// The checkpoint is complete whatever becomes of its ancestors.
void dedup_ancestors(const std::string& images_dir, const StopRequest& stop) {
  const auto freed = [&]() -> Result<void> {
    const auto chain = TRY(image::Chain::open(images_dir));
    return image::dedup(chain, image::plan_dedup(chain), stop);
  }();
  if (!freed) log::warn("pages of the ancestors were not freed: {}", freed.error().message());
}

// In the worker: dumps and tells the result.
int dump_and_tell(const DumpTool& tool, const DumpOptions& options, const UniqueFd& trace,
                  const StopRequest& stop) {
  TerminalProgress progress(STDERR_FILENO, tool.activity);
  const auto outcome = tool.run(options.dump, stop, progress);
  progress.finish();
  if (outcome && options.dump.auto_dedup && !options.dump.dry_run)
    dedup_ancestors(options.dump.images_dir, stop);
  // The dump stands or falls without its trace: a failure to write it is told, but after the
  // result.
  const auto traced = write_trace(trace, options.shared, tool.name);
  if (options.shared.json && outcome) print_json(json_result(outcome));
  if (!outcome) return tell_failure(tool.name, outcome.error(), options.shared.json);
  if (options.shared.display_stats && !options.shared.json) print(stats_table(*outcome));
  if (options.dump.dry_run && !options.shared.json) print("nothing is refused\n");
  return traced ? 0 : tell_failure(tool.name, traced.error(), false);
}

// What the front sets up before the target is touched.
struct Prepared {
  UniqueFd log;
  UniqueFd trace;
};

Result<Prepared> prepare(const DumpOptions& options) {
  Prepared prepared;
  prepared.log = TRY(open_log(options.shared, options.dump.work_dir));
  prepared.trace = TRY(open_trace(options.shared));
  return prepared;
}

int prepare_and_dump(const DumpTool& tool, const DumpOptions& options) {
  const auto prepared = prepare(options);
  if (!prepared) return tell_failure(tool.name, prepared.error(), options.shared.json);
  return run_in_worker(tool.name, [&](const StopRequest& stop) {
    return guarded(tool.name, [&] { return dump_and_tell(tool, options, prepared->trace, stop); });
  });
}

int run(const DumpTool& tool, std::span<const char* const> arguments) {
  const auto options = tool.parse(arguments, ConfigPaths::from_environment());
  if (!options) return tell_failure(tool.name, options.error(), wants_json(arguments));
  if (options->shared.help) {
    print(tool.help());
    return 0;
  }
  if (options->shared.version) {
    print(version_text(tool.name));
    return 0;
  }
  if (options->dump.dry_run) return prepare_and_dump(tool, *options);
  const std::string& folder = options->dump.images_dir;
  const auto created = make_dir(folder);
  if (!created) return tell_failure(tool.name, created.error(), options->shared.json);
  const int code = prepare_and_dump(tool, *options);
  // A folder made for nothing goes again, unless something (a log) was put into it.
  if (code != 0 && *created) ::rmdir(folder.c_str());
  return code;
}

}  // namespace

int dump_main(const DumpTool& tool, int argc, char** argv) {
  settle_process();
  return guarded(tool.name, [&] { return run(tool, arguments_of(argc, argv)); });
}

}  // namespace cryostat::cli
