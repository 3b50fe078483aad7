// cr-inspect: shows what is in a checkpoint, and verifies it (cr-inspect(1)).
#include <fcntl.h>
#include <fmt/format.h>
#include <getopt.h>

#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/version.h"
#include "engine/cli/report.h"
#include "engine/image/chain.h"
#include "engine/image/checkpoint_images.h"
#include "engine/image/checkpoint_reader.h"
#include "engine/image/describe.h"
#include "proto/manifest.pb.h"

namespace cryostat {
namespace {

constexpr char kUsage[] =
    "usage: cr-inspect [-D DIR] [--json] [show [FILE]]\n"
    "       cr-inspect [-D DIR] verify\n"
    "\n"
    "  show           print the manifest, or the records of one file (tasks.img, mm.img, …)\n"
    "  verify         check every byte of the checkpoint against its checksums\n"
    "  -D, --images-dir DIR   folder of the checkpoint (default: .)\n"
    "      --json             print JSON\n"
    "  -V, --version          print the version\n"
    "  -h, --help             print this\n";

struct Options {
  std::string directory = ".";
  bool json = false;
  std::string action = "show";
  std::string file = "manifest.img";
};

Failure usage_error(std::string what) {
  return tl::unexpected(
      Error(ErrorKind::kUsage, std::move(what)).with_hint("try 'cr-inspect --help'"));
}

Result<void> read_arguments(Options& options, const std::vector<std::string>& arguments) {
  if (!arguments.empty()) options.action = arguments[0];
  if (options.action != "show" && options.action != "verify")
    return usage_error(fmt::format("unknown action '{}'", options.action));
  const size_t most = options.action == "show" ? 2 : 1;
  if (arguments.size() > most)
    return usage_error(fmt::format("too many arguments for {}", options.action));
  if (arguments.size() == 2) options.file = arguments[1];
  return {};
}

Result<image::FileType> file_type(const std::string& name) {
  for (uint32_t type = 1; type <= static_cast<uint32_t>(image::kLastFileType); ++type) {
    const auto candidate = static_cast<image::FileType>(type);
    if (image::file_name(candidate) != name && image::file_name(candidate) != name + ".img")
      continue;
    if (candidate == image::FileType::kPages || candidate == image::FileType::kPageSums)
      return usage_error(fmt::format("{} holds no records", name));
    return candidate;
  }
  return usage_error(fmt::format("no image file is called '{}'", name));
}

Result<image::RecordReader> open_records(const image::CheckpointReader& reader,
                                         image::FileType type) {
  if (type != image::FileType::kManifest) return reader.records(type);
  const std::string name(image::file_name(type));
  UniqueFd fd(openat(reader.dir_fd(), name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(fmt::format("open {}/{}", reader.directory(), name));
  return image::RecordReader::open(std::move(fd), reader.directory() + "/" + name, type);
}

Result<void> show(const Options& options) {
  const auto reader = TRY(image::CheckpointReader::open(options.directory));
  auto records = TRY(open_records(reader, TRY(file_type(options.file))));
  const char* separator = "[";
  while (const auto record = TRY(records.next())) {
    if (options.json) {
      fmt::print("{}{}", separator, TRY(image::record_to_json(records, *record)));
      separator = ",\n";
    } else {
      fmt::print("{}  # byte {}, {} bytes\n{}", image::record_name(record->tag),
                 record->offset_bytes, record->payload.size(),
                 TRY(image::record_to_text(records, *record)));
    }
  }
  if (options.json) fmt::print("{}]\n", separator[0] == '[' ? "[" : "");
  return {};
}

Result<void> verify(const Options& options) {
  auto chain = TRY(image::Chain::open(options.directory));
  const auto& reader = chain.head();
  const auto& manifest = reader.manifest();
  if (!manifest.pre_dump()) TRY(image::load_images(chain));
  const StopRequest stop;
  TRY(chain.load_pages(std::thread::hardware_concurrency(), stop));
  TRY(chain.verify_pages(std::thread::hardware_concurrency(), stop));
  if (options.json)
    fmt::print("{{\"result\":\"ok\",\"root_pid\":{},\"files\":{},\"pages\":{}}}\n",
               manifest.root_pid(), manifest.files_size(), reader.page_count());
  else
    fmt::print("{}: whole: pid {}, {} files, {} pages\n", options.directory, manifest.root_pid(),
               manifest.files_size() + 1, reader.page_count());
  return {};
}

// Nothing when --help or --version was answered.
Result<void> run(int argc, char** argv) {
  static const option kOptions[] = {{"images-dir", required_argument, nullptr, 'D'},
                                    {"json", no_argument, nullptr, 'j'},
                                    {"version", no_argument, nullptr, 'V'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {}};
  Options options;
  opterr = 0;  // told by the error
  for (int choice; (choice = getopt_long(argc, argv, "D:Vh", kOptions, nullptr)) != -1;) {
    if (choice == 'D') {
      options.directory = optarg;
    } else if (choice == 'j') {
      options.json = true;
    } else if (choice == 'V') {
      fmt::print("cr-inspect {}\n", kVersion);
      return {};
    } else if (choice == 'h') {
      fmt::print("{}", kUsage);
      return {};
    } else {
      if (optopt == 'D') return usage_error("option -D needs the name of a folder");
      return usage_error(optopt != 0 ? fmt::format("unknown option -{}", static_cast<char>(optopt))
                                     : fmt::format("unknown option {}", argv[optind - 1]));
    }
  }
  TRY(read_arguments(options, {argv + optind, argv + argc}));
  return options.action == "show" ? show(options) : verify(options);
}

}  // namespace
}  // namespace cryostat

int main(int argc, char** argv) {
  try {
    const auto result = cryostat::run(argc, argv);
    if (result) {
      if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
      fmt::print(stderr, "cr-inspect: error: not all could be written to stdout\n");
      return 1;
    }
    fmt::print(stderr, "{}", cryostat::cli::error_text("cr-inspect", result.error()));
    return cryostat::cli::exit_code(result.error());
  } catch (const std::exception& failure) {
    fmt::print(stderr, "cr-inspect: {}\n", failure.what());
    return 1;
  }
}
