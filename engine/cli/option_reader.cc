#include "engine/cli/option_reader.h"

#include <fmt/format.h>

#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <vector>

#include "engine/cli/config_file.h"
#include "engine/cli/unsupported_options.h"

namespace cryostat::cli {

namespace po = boost::program_options;

namespace {

// Abbreviated long options are not accepted: a script must not change its meaning when an option is
// added.
constexpr int kStyle = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;

Error unknown_option(const OptionSpec& spec, const std::string& shown) {
  const size_t dashes = std::min(shown.find_first_not_of('-'), shown.size());
  const std::string name = shown.substr(dashes, shown.find('=', dashes) - dashes);
  if (const auto reason = why_unsupported(name); !reason.empty())
    return Error(ErrorKind::kUsage, fmt::format("option {} is not supported: {}", shown, reason));
  return Error(ErrorKind::kUsage, fmt::format("unknown option {}", shown))
      .with_hint(fmt::format("{} --help lists the options", spec.tool));
}

Result<void> check_known(const OptionSpec& spec, const po::parsed_options& parsed) {
  for (const auto& option : parsed.options) {
    if (option.unregistered) {
      const std::string& key = option.string_key;
      const bool dashed = key.starts_with('-');
      const std::string shown = dashed ? key : (key.size() == 1 ? "-" : "--") + key;
      return tl::unexpected(unknown_option(spec, shown));
    }
    if (option.position_key != -1) {
      const std::string& argument = option.original_tokens.front();
      return fail(ErrorKind::kUsage, fmt::format("unexpected argument '{}'", argument));
    }
  }
  return {};
}

Result<po::parsed_options> parse_tokens(const OptionSpec& spec,
                                        const std::vector<std::string>& tokens) {
  po::parsed_options parsed = po::command_line_parser(tokens)
                                  .options(spec.accepted)
                                  .style(kStyle)
                                  .allow_unregistered()
                                  .run();
  TRY(check_known(spec, parsed));
  // An implicit value would replace the occurrences before it; -v -v is to count as two.
  for (auto& option : parsed.options) {
    if (option.string_key == "verbosity" && option.value.empty()) option.value.emplace_back();
  }
  return parsed;
}

// Of options that exclude each other, a lower source does not add to what a higher one chose.
bool outranked(const std::string& name, const po::variables_map& values) {
  const auto given = [&](const char* other) {
    return values.count(other) != 0 && !values[other].defaulted();
  };
  if (name == "leave-running") return given("leave-stopped");
  if (name == "leave-stopped") return given("leave-running");
  return false;
}

Result<void> add_config_file(const OptionSpec& spec, const std::string& path, bool must_exist,
                             po::variables_map& values) {
  const auto settings = TRY(read_config(path, must_exist));
  std::vector<std::string> tokens;
  for (const auto& setting : settings) {
    const std::string context = fmt::format("{}: line {}", path, setting.line);
    if (setting.name == "config" || setting.name == "no-default-config" || setting.name == "help" ||
        setting.name == "version")
      return fail(ErrorKind::kUsage,
                  fmt::format("{}: {} belongs on the command line", context, setting.name));
    const bool known = spec.accepted.find_nothrow(setting.name, false) != nullptr;
    if (!known && spec.elsewhere.find_nothrow(setting.name, false) != nullptr) continue;
    if (!known) return tl::unexpected(unknown_option(spec, setting.name).in(context));
    if (outranked(setting.name, values)) continue;
    std::string token = "--" + setting.name;
    if (setting.value) token += "=" + *setting.value;
    tokens.push_back(std::move(token));
  }
  try {
    po::store(TRY_IN(parse_tokens(spec, tokens), path), values);
  } catch (const po::error& error) {
    return fail(ErrorKind::kUsage, fmt::format("{}: {}", path, error.what()));
  }
  return {};
}

Result<void> add_config_files(const OptionSpec& spec, const ConfigPaths& config,
                              po::variables_map& values) {
  if (values.count("config") != 0)
    TRY(add_config_file(spec, values["config"].as<std::string>(), true, values));
  if (values["no-default-config"].as<bool>()) return {};
  for (const std::string& path : {config.user, config.system}) {
    if (!path.empty()) TRY(add_config_file(spec, path, false, values));
  }
  return {};
}

}  // namespace

Result<po::variables_map> read_options(const OptionSpec& spec,
                                       std::span<const char* const> arguments,
                                       const ConfigPaths& config) {
  po::variables_map values;
  try {
    const std::vector<std::string> tokens(arguments.begin(), arguments.end());
    po::store(TRY(parse_tokens(spec, tokens)), values);
  } catch (const po::error& error) {
    return fail(ErrorKind::kUsage, error.what());
  }
  if (!values["help"].as<bool>() && !values["version"].as<bool>())
    TRY(add_config_files(spec, config, values));
  return values;
}

}  // namespace cryostat::cli
