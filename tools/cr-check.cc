// cr-check: tells what this machine's kernel and the caller's privileges allow.
#include <fmt/format.h>

#include <vector>

#include "engine/base/version.h"
#include "engine/cli/json.h"
#include "engine/cli/signals.h"
#include "engine/cli/tool.h"
#include "engine/kernel/capabilities.h"
#include "engine/kernel/probes.h"

using namespace cryostat;

namespace {

constexpr const char* kTool = "cr-check";
constexpr const char* kHelp =
    "usage: cr-check [--json]\n"
    "Tells what this machine can do for cr-dump and cr-restore.\n\n"
    "  --json           print one JSON object on stdout\n"
    "  -V, --version    print the version\n"
    "  -h, --help       print this text\n";

std::vector<kernel::Feature> privilege_features(const kernel::Privileges& have) {
  return {
      {"CAP_CHECKPOINT_RESTORE", have.checkpoint_restore, true, "",
       "choosing the pids of restored tasks, reading map_files"},
      {"CAP_SYS_PTRACE", have.sys_ptrace, true, "", "tasks of other users"},
      {"CAP_SYS_ADMIN", have.sys_admin, false, "", "tasks with seccomp filters"},
      {"CAP_SYS_RESOURCE", have.sys_resource, false, "", "raising hard resource limits"},
  };
}

// The required ones that are missing decide: 0, 6 (kernel) or 7 (only privileges).
int verdict(const std::vector<kernel::Feature>& features,
            const std::vector<kernel::Feature>& privileges) {
  const auto lacking = [](const std::vector<kernel::Feature>& list) {
    for (const auto& feature : list) {
      if (feature.required && !feature.available) return true;
    }
    return false;
  };
  if (lacking(features) && !lacking(privileges)) return static_cast<int>(ErrorKind::kMachine);
  return lacking(privileges) ? static_cast<int>(ErrorKind::kPermission) : 0;
}

std::string as_table(const std::vector<kernel::Feature>& features) {
  std::string text;
  for (const auto& feature : features) {
    const char* mark = feature.available ? "yes" : (feature.required ? "MISSING" : "no");
    text += fmt::format("  {:<8}{:<28}{}", mark, feature.name, feature.needed_for);
    if (!feature.detail.empty()) text += fmt::format(" ({})", feature.detail);
    text += '\n';
  }
  return text;
}

void write_features(cli::JsonWriter& json, const char* key,
                    const std::vector<kernel::Feature>& features) {
  json.begin_array(key);
  for (const auto& feature : features) {
    json.begin_object()
        .field("name", feature.name)
        .field("available", feature.available)
        .field("required", feature.required)
        .field("detail", feature.detail)
        .field("needed_for", feature.needed_for)
        .end_object();
  }
  json.end_array();
}

int check(bool as_json) {
  const auto have = kernel::this_privileges();
  if (!have) return cli::tell_failure(kTool, have.error(), as_json);
  const auto privileges = privilege_features(*have);
  const auto features = kernel::probe_all();
  const int code = verdict(features, privileges);
  if (as_json) {
    cli::JsonWriter json;
    json.begin_object()
        .field("tool", kTool)
        .field("version", kVersion)
        .field("ok", code == 0)
        .field("exit_code", code);
    write_features(json, "kernel", features);
    write_features(json, "privileges", privileges);
    json.end_object();
    cli::print(json.text() + "\n");
    return code;
  }
  cli::print("Kernel\n" + as_table(features) + "Privileges\n" + as_table(privileges));
  cli::print(code == 0 ? "Dumps and restores can be done here.\n"
                       : "What is MISSING is needed for every dump or restore.\n");
  return code;
}

int run(std::span<const char* const> arguments) {
  bool as_json = false;
  for (const std::string_view argument : arguments) {
    if (argument == "--json") {
      as_json = true;
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
  return check(as_json);
}

}  // namespace

int main(int argc, char** argv) {
  cli::settle_process();
  return cli::guarded(kTool, [&] { return run(cli::arguments_of(argc, argv)); });
}
