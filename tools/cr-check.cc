// cr-check: tells what this machine's kernel and the caller's privileges allow.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/base/version.h"
#include "engine/cli/json.h"
#include "engine/cli/signals.h"
#include "engine/cli/tool.h"
#include "engine/kernel/probes.h"
#include "engine/memory/tracker_keeper.h"

using namespace cryostat;

namespace {

constexpr const char* kTool = "cr-check";
constexpr const char* kHelp =
    "usage: cr-check [--json] [--trackers [--end]]\n"
    "Tells what this machine can do for cr-dump and cr-restore.\n\n"
    "  --trackers       list the processes that keep trackers of written pages instead\n"
    "  --end            and end them: tracking stops, the next increment is a full dump\n"
    "  --json           print one JSON object on stdout\n"
    "  -V, --version    print the version\n"
    "  -h, --help       print this text\n";

bool is_privilege(const kernel::Feature& feature) { return feature.name.starts_with("CAP_"); }

// What is required and missing decides: 0, 6 (the kernel) or 7 (only privileges).
int verdict(const std::vector<kernel::Feature>& features) {
  int code = 0;
  for (const auto& feature : features) {
    if (!feature.required || feature.available) continue;
    if (!is_privilege(feature)) return static_cast<int>(ErrorKind::kMachine);
    code = static_cast<int>(ErrorKind::kPermission);
  }
  return code;
}

std::string as_table(const std::vector<kernel::Feature>& features) {
  size_t width = 0;
  for (const auto& feature : features) width = std::max(width, feature.name.size());
  std::string text;
  for (const auto& feature : features) {
    const char* mark = feature.available ? "yes" : (feature.required ? "MISSING" : "no");
    text += fmt::format("{:<8}{:<{}}  {}", mark, feature.name, width, feature.needed_for);
    if (!feature.detail.empty()) text += fmt::format(" ({})", feature.detail);
    text += '\n';
  }
  return text;
}

std::string as_json(const std::vector<kernel::Feature>& features, int code) {
  cli::JsonWriter json;
  json.begin_object()
      .field("tool", kTool)
      .field("version", kVersion)
      .field("ok", code == 0)
      .field("exit_code", code)
      .begin_array("features");
  for (const auto& feature : features) {
    json.begin_object()
        .field("name", feature.name)
        .field("available", feature.available)
        .field("required", feature.required)
        .field("detail", feature.detail)
        .field("needed_for", feature.needed_for)
        .end_object();
  }
  json.end_array().end_object();
  return json.text() + "\n";
}

int check(bool json) {
  const auto features = kernel::probe_all();
  const int code = verdict(features);
  if (json) {
    cli::print_json(as_json(features, code));
    return code;
  }
  cli::print(as_table(features));
  cli::print(code == 0 ? "\nDumps and restores can be done here.\n"
                       : "\nWhat is MISSING is needed for every dump or restore.\n");
  return code;
}

std::string keepers_as_json(const std::vector<memory::KeeperInfo>& keepers) {
  cli::JsonWriter json;
  json.begin_object().field("tool", kTool).field("version", kVersion).begin_array("trackers");
  for (const auto& keeper : keepers) {
    json.begin_object()
        .field("keeper_pid", keeper.pid.value)
        .field("pid", keeper.target.value)
        .field("tracker", memory::tracker_name(keeper.tracker))
        .field("checkpoint_id", keeper.checkpoint_id)
        .end_object();
  }
  json.end_array().end_object();
  return json.text() + "\n";
}

std::string keepers_as_table(const std::vector<memory::KeeperInfo>& keepers) {
  if (keepers.empty()) return "no process is tracked\n";
  std::string text;
  for (const auto& keeper : keepers) {
    text +=
        fmt::format("pid {}: {}, kept by {}, since checkpoint {}\n", keeper.target.value,
                    memory::tracker_name(keeper.tracker), keeper.pid.value, keeper.checkpoint_id);
  }
  return text;
}

Result<void> show_trackers(bool json, bool end) {
  const auto keepers = TRY(memory::TrackerKeeper::list());
  if (end)
    for (const auto& keeper : keepers) TRY(memory::TrackerKeeper::end(keeper));
  if (json)
    cli::print_json(keepers_as_json(keepers));
  else
    cli::print(keepers_as_table(keepers));
  return {};
}

int run(std::span<const char* const> arguments) {
  bool json = false;
  bool trackers = false;
  bool end = false;
  for (const std::string_view argument : arguments) {
    if (argument == "--json") {
      json = true;
    } else if (argument == "--trackers") {
      trackers = true;
    } else if (argument == "--end") {
      end = true;
    } else if (argument == "-h" || argument == "--help") {
      cli::print(kHelp);
      return 0;
    } else if (argument == "-V" || argument == "--version") {
      cli::print(cli::version_text(kTool));
      return 0;
    } else {
      return cli::tell_failure(
          kTool, Error(ErrorKind::kUsage, fmt::format("unexpected argument '{}'", argument)),
          cli::wants_json(arguments));
    }
  }
  if (end && !trackers)
    return cli::tell_failure(kTool, Error(ErrorKind::kUsage, "--end goes with --trackers"), json);
  if (!trackers) return check(json);
  const auto shown = show_trackers(json, end);
  return shown ? 0 : cli::tell_failure(kTool, shown.error(), json);
}

}  // namespace

int main(int argc, char** argv) {
  cli::settle_process();
  return cli::guarded(kTool, [&] { return run(cli::arguments_of(argc, argv)); });
}
