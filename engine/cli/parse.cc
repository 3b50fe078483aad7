#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

#include "engine/cli/option_reader.h"
#include "engine/cli/option_table.h"
#include "engine/cli/options.h"
#include "engine/cli/values.h"

namespace cryostat::cli {

namespace po = boost::program_options;

namespace {

bool is_on(const po::variables_map& values, const char* name) { return values[name].as<bool>(); }

// The text given for `name`, or nothing.
const std::string* text_of(const po::variables_map& values, const char* name) {
  return values.count(name) == 0 ? nullptr : &values[name].as<std::string>();
}

// Runs a parser of values.h on the option's text when it was given.
template <typename Value, typename Parser>
Result<void> read_value(const po::variables_map& values, const char* name, Parser parser,
                        Value* into) {
  if (const std::string* text = text_of(values, name))
    *into = TRY_IN(parser(*text), fmt::format("option --{}", name));
  return {};
}

// Runs a parser on each text of an option that may be repeated.
template <typename Parser>
Result<void> read_each(const po::variables_map& values, const char* name, Parser parser) {
  if (values.count(name) == 0) return {};
  for (const auto& text : values[name].as<std::vector<std::string>>())
    TRY_IN(parser(text), fmt::format("option --{}", name));
  return {};
}

// One of a few words.
template <typename Choice>
struct Word {
  std::string_view word;
  Choice choice;
};

template <typename Choice, size_t N>
Result<void> read_choice(const po::variables_map& values, const char* name,
                         const Word<Choice> (&words)[N], Choice* into) {
  const std::string* text = text_of(values, name);
  if (text == nullptr) return {};
  std::string expected;
  for (const auto& [word, choice] : words) {
    if (word == *text) {
      *into = choice;
      return {};
    }
    expected += (expected.empty() ? "" : ", ") + std::string(word);
  }
  return fail(ErrorKind::kUsage,
              fmt::format("option --{}: '{}' is not one of {}", name, *text, expected));
}

Result<SharedOptions> read_shared(const po::variables_map& values) {
  SharedOptions shared;
  shared.help = is_on(values, "help");
  shared.version = is_on(values, "version");
  shared.json = is_on(values, "json");
  shared.display_stats = is_on(values, "display-stats");
  if (const auto* text = text_of(values, "log-file")) shared.log_file = *text;
  if (const auto* text = text_of(values, "trace")) shared.trace_file = *text;
  if (values.count("verbosity") != 0) {
    shared.verbosity = TRY_IN(
        parse_verbosity(shared.verbosity, values["verbosity"].as<std::vector<std::string>>()),
        "option -v");
  }
  if (shared.json && shared.log_file == "-")
    return fail(ErrorKind::kUsage, "--json and --log-file - both want stdout");
  return shared;
}

// What both engines are told in the same words.
template <typename EngineOptions>
Result<void> read_common(const po::variables_map& values, EngineOptions* options) {
  if (const auto* text = text_of(values, "images-dir")) options->images_dir = *text;
  options->work_dir = options->images_dir;
  if (const auto* text = text_of(values, "work-dir")) options->work_dir = *text;
  if (options->images_dir.empty() || options->work_dir.empty())
    return fail(ErrorKind::kUsage, "the name of a folder can't be empty");
  if (values.count("action-script") != 0)
    options->scripts.programs = values["action-script"].as<std::vector<std::string>>();
  options->scripts.images_dir = options->images_dir;
  options->shell_job = is_on(values, "shell-job");
  options->dry_run = is_on(values, "dry-run");
  return read_value(values, "timeout", parse_seconds, &options->timeout);
}

Result<void> read_after(const po::variables_map& values, dump::After* after) {
  const bool running = is_on(values, "leave-running");
  const bool stopped = is_on(values, "leave-stopped");
  if (running && stopped)
    return fail(ErrorKind::kUsage, "--leave-running and --leave-stopped exclude each other");
  if (running) *after = dump::After::kLeaveRunning;
  if (stopped) *after = dump::After::kLeaveStopped;
  return {};
}

Result<void> read_increment(const po::variables_map& values, memory::IncrementOptions* increment) {
  using memory::TrackerChoice;
  if (const auto* text = text_of(values, "prev-images-dir")) increment->prev_images_dir = *text;
  increment->track_mem = is_on(values, "track-mem");
  increment->verify = is_on(values, "tracker-verify");
  constexpr Word<TrackerChoice> kTrackers[] = {{"auto", TrackerChoice::kAuto},
                                               {"uffd-wp", TrackerChoice::kUffdWp},
                                               {"soft-dirty", TrackerChoice::kSoftDirty},
                                               {"hash", TrackerChoice::kHash},
                                               {"none", TrackerChoice::kNone}};
  return read_choice(values, "tracker", kTrackers, &increment->tracker);
}

po::options_description joined(std::initializer_list<po::options_description> tables) {
  po::options_description all;
  for (const auto& table : tables) all.add(table);
  return all;
}

std::string help_text(const char* usage, const po::options_description& own) {
  std::ostringstream out;
  out << usage << '\n' << own << '\n' << shared_table();
  return out.str();
}

}  // namespace

ConfigPaths ConfigPaths::from_environment() {
  ConfigPaths paths;
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  if (config != nullptr && *config != '\0') {
    paths.user = std::string(config) + "/cryostat.conf";
  } else if (home != nullptr && *home != '\0') {
    paths.user = std::string(home) + "/.config/cryostat.conf";
  }
  return paths;
}

namespace {

Result<DumpOptions> parse_dump_tool(const char* tool, std::span<const char* const> arguments,
                                    const ConfigPaths& config) {
  const OptionSpec spec{tool, joined({shared_table(), compatible_table(), dump_table()}),
                        joined({restore_table(), restore_hidden_table()})};
  const auto values = TRY(read_options(spec, arguments, config));
  DumpOptions options;
  options.shared = TRY(read_shared(values));
  if (options.shared.help || options.shared.version) return options;
  TRY(read_common(values, &options.dump));
  TRY(read_after(values, &options.dump.after));
  options.dump.skip_in_flight = is_on(values, "skip-in-flight");
  options.dump.link_remap = is_on(values, "link-remap");
  options.dump.file_locks = is_on(values, "file-locks");
  options.dump.ext_unix_sockets = is_on(values, "ext-unix-sk");
  TRY(read_value(values, "ghost-limit", parse_size, &options.dump.ghost_limit_bytes));
  constexpr Word<dump::Transfer> kTransfers[] = {{"auto", dump::Transfer::kAuto},
                                                 {"parasite", dump::Transfer::kParasite},
                                                 {"vm-readv", dump::Transfer::kVmReadv}};
  TRY(read_choice(values, "transfer", kTransfers, &options.dump.transfer));
  constexpr Word<memory::SnapshotMode> kSnapshots[] = {{"auto", memory::SnapshotMode::kAuto},
                                                       {"stop", memory::SnapshotMode::kStop},
                                                       {"cow", memory::SnapshotMode::kCow}};
  TRY(read_choice(values, "snapshot", kSnapshots, &options.dump.snapshot));
  constexpr Word<memory::VmaFlagsFrom> kVmaFlags[] = {{"auto", memory::VmaFlagsFrom::kAuto},
                                                      {"smaps", memory::VmaFlagsFrom::kSmaps},
                                                      {"bpf", memory::VmaFlagsFrom::kBpf}};
  TRY(read_choice(values, "vma-flags", kVmaFlags, &options.dump.vma_flags));
  TRY(read_value(values, "compress", image::parse_compression, &options.dump.store.compression));
  options.dump.store.dedup = is_on(values, "dedup-pages");
  options.dump.store.direct_io = is_on(values, "direct-io");
  TRY(read_value(values, "bandwidth", parse_size, &options.dump.bandwidth_bytes_per_s));
  if (options.dump.store.dedup && options.dump.transfer == dump::Transfer::kParasite)
    return fail(ErrorKind::kUsage,
                "--dedup-pages compares pages on their way: it excludes --transfer=parasite");
  TRY(read_each(values, "external", [&](const std::string& text) -> Result<void> {
    options.dump.external.push_back(TRY(files::parse_external(text)));
    return {};
  }));
  TRY(read_increment(values, &options.dump.increment));
  options.dump.auto_dedup = is_on(values, "auto-dedup");
  if (const auto* text = text_of(values, "freeze-cgroup")) {
    if (text->empty()) return fail(ErrorKind::kUsage, "option --freeze-cgroup: no folder");
    options.dump.freeze_cgroup = *text;
  }
  if (values.count("tree") == 0)
    return tl::unexpected(Error(ErrorKind::kUsage, "which process? -t PID is missing")
                              .with_hint(fmt::format("{} --help lists the options", tool)));
  int pid = 0;
  TRY(read_value(values, "tree", parse_pid, &pid));
  options.dump.pid = HostPid(pid);
  return options;
}

}  // namespace

Result<DumpOptions> parse_dump(std::span<const char* const> arguments, const ConfigPaths& config) {
  return parse_dump_tool("cr-dump", arguments, config);
}

Result<DumpOptions> parse_pre_dump(std::span<const char* const> arguments,
                                   const ConfigPaths& config) {
  auto options = TRY(parse_dump_tool("cr-pre-dump", arguments, config));
  options.dump.increment.track_mem = true;
  return options;
}

Result<RestoreOptions> parse_restore(std::span<const char* const> arguments,
                                     const ConfigPaths& config) {
  const OptionSpec spec{
      "cr-restore",
      joined({shared_table(), compatible_table(), restore_table(), restore_hidden_table()}),
      dump_table()};
  const auto values = TRY(read_options(spec, arguments, config));
  RestoreOptions options;
  options.shared = TRY(read_shared(values));
  if (options.shared.help || options.shared.version) return options;
  auto& engine = options.restore;
  TRY(read_common(values, &engine));
  engine.detached = is_on(values, "restore-detached");
  engine.sibling = is_on(values, "restore-sibling");
  engine.leave_stopped = is_on(values, "leave-stopped");
  if (const auto* text = text_of(values, "pidfile")) options.pidfile = *text;
  TRY(read_each(values, "inherit-fd", [&](const std::string& text) {
    return files::add_inherited(text, engine.inherited);
  }));
  TRY(read_value(values, "restore-threads", parse_restore_threads, &engine.restore_threads));
  constexpr Word<restore::VdsoMode> kModes[] = {{"auto", restore::VdsoMode::kAuto},
                                                {"move", restore::VdsoMode::kMove},
                                                {"retarget", restore::VdsoMode::kRetarget}};
  TRY(read_choice(values, "vdso", kModes, &engine.vdso));
  if (engine.sibling && !engine.detached)
    return tl::unexpected(
        Error(ErrorKind::kUsage, "--restore-sibling makes the process someone else's child")
            .with_hint("add --restore-detached"));
  return options;
}

std::string dump_help() {
  return help_text(
      "usage: cr-dump -t PID [-D DIR] [option]...\nSaves a running process to a folder.\n",
      dump_table());
}

std::string pre_dump_help() {
  return help_text(
      "usage: cr-pre-dump -t PID [-D DIR] [--prev-images-dir DIR] [option]...\n"
      "Saves the memory of a process that runs on, so that a later dump is short.\n",
      dump_table());
}

std::string restore_help() {
  return help_text("usage: cr-restore [-D DIR] [option]...\nBrings a saved process back to life.\n",
                   restore_table());
}

}  // namespace cryostat::cli
