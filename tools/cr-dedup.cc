// cr-dedup: frees what older checkpoints of a chain have in vain, or flattens the chain.
#include <fmt/format.h>
#include <getopt.h>

#include <string>
#include <vector>

#include "engine/base/progress.h"
#include "engine/cli/json.h"
#include "engine/cli/report.h"
#include "engine/cli/signals.h"
#include "engine/cli/tool.h"
#include "engine/image/dedup.h"
#include "engine/image/flatten.h"

using namespace cryostat;

namespace {

constexpr const char* kTool = "cr-dedup";
constexpr const char* kHelp =
    "usage: cr-dedup [-D DIR] [--dry-run] [--json]\n"
    "       cr-dedup [-D DIR] --flatten OUT\n"
    "Frees the pages of older checkpoints that the one in DIR, which builds on them, does not\n"
    "need. They can't be restored themselves then.\n\n"
    "  -D, --images-dir DIR   folder of the checkpoint (default: .)\n"
    "      --dry-run          say what would be freed, change nothing\n"
    "      --flatten OUT      copy the checkpoint, with all pages it needs, to OUT instead\n"
    "      --json             print one JSON object on stdout\n"
    "  -V, --version          print the version\n"
    "  -h, --help             print this text\n";

// Signal handlers refer to it until the process ends.
StopRequest stop;

struct Options {
  std::string directory = ".";
  std::string flatten;
  bool dry_run = false;
  bool json = false;
};

std::string as_json(const std::vector<image::DedupShare>& plan, const Options& options) {
  cli::JsonWriter json;
  json.begin_object()
      .field("tool", kTool)
      .field("ok", true)
      .field("dry_run", options.dry_run)
      .begin_array("ancestors");
  for (const auto& share : plan) {
    json.begin_object()
        .field("directory", share.directory)
        .field("pages", share.page_count)
        .field("pages_used", share.pages_used)
        .field("pages_freed", share.pages_to_free)
        .end_object();
  }
  json.end_array().end_object();
  return json.text() + "\n";
}

std::string as_table(const std::vector<image::DedupShare>& plan, const Options& options) {
  if (plan.empty()) return "no pages of other checkpoints are needed: nothing to free\n";
  std::string text;
  for (const auto& share : plan) {
    text +=
        fmt::format("{}: {} of {} pages needed, {} {} ({})\n", share.directory, share.pages_used,
                    share.page_count, share.pages_to_free, options.dry_run ? "to free" : "freed",
                    human_bytes(share.pages_to_free * 4096));
  }
  return text;
}

Result<void> work(const Options& options) {
  auto chain = TRY(image::Chain::open(options.directory));
  if (!options.flatten.empty()) return image::flatten(chain, options.flatten, stop);
  const auto plan = image::plan_dedup(chain);
  if (!options.dry_run) TRY(image::dedup(chain, plan, stop));
  if (options.json)
    cli::print_json(as_json(plan, options));
  else
    cli::print(as_table(plan, options));
  return {};
}

int run(int argc, char** argv) {
  static const option kOptions[] = {{"images-dir", required_argument, nullptr, 'D'},
                                    {"flatten", required_argument, nullptr, 'f'},
                                    {"dry-run", no_argument, nullptr, 'n'},
                                    {"json", no_argument, nullptr, 'j'},
                                    {"version", no_argument, nullptr, 'V'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {}};
  Options options;
  const auto usage = [&](const char* what) {
    return cli::tell_failure(
        kTool, Error(ErrorKind::kUsage, what).with_hint("try 'cr-dedup --help'"), options.json);
  };
  for (int choice; (choice = getopt_long(argc, argv, "D:Vh", kOptions, nullptr)) != -1;) {
    if (choice == 'D') {
      options.directory = optarg;
    } else if (choice == 'f') {
      options.flatten = optarg;
    } else if (choice == 'n') {
      options.dry_run = true;
    } else if (choice == 'j') {
      options.json = true;
    } else if (choice == 'V') {
      cli::print(cli::version_text(kTool));
      return 0;
    } else if (choice == 'h') {
      cli::print(kHelp);
      return 0;
    } else {
      return usage("wrong options");
    }
  }
  if (optind != argc) return usage("too many arguments");
  if (options.dry_run && !options.flatten.empty())
    return usage("--dry-run says what would be freed: it does not go with --flatten");
  cli::install_stop_handlers(&stop);
  const auto done = work(options);
  return done ? 0 : cli::tell_failure(kTool, done.error(), options.json);
}

}  // namespace

int main(int argc, char** argv) {
  cli::settle_process();
  return cli::guarded(kTool, [&] { return run(argc, argv); });
}
