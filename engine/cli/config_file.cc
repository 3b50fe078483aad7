#include "engine/cli/config_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

#include "engine/base/unique_fd.h"

namespace cryostat::cli {

namespace {
constexpr size_t kMaxFileBytes = 64 << 10;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// The line up to a comment; a # inside quotes or inside a word is part of the value.
std::string_view without_comment(std::string_view line) {
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    const bool at_word_start = i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t';
    if (line[i] == '#' && !quoted && at_word_start) return line.substr(0, i);
  }
  return line;
}

bool is_name(std::string_view name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}
}  // namespace

Result<std::vector<ConfigSetting>> parse_config(std::string_view text) {
  std::vector<ConfigSetting> settings;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = trimmed(without_comment(text.substr(0, end)));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    if (line.empty()) continue;
    const size_t name_end = std::min(line.find_first_of(" \t="), line.size());
    ConfigSetting setting{std::string(line.substr(0, name_end)), std::nullopt, number};
    if (!is_name(setting.name))
      return fail(ErrorKind::kUsage, fmt::format("line {}: expected an option name", number));
    std::string_view value = trimmed(line.substr(name_end));
    if (value.starts_with('=')) value = trimmed(value.substr(1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    if (name_end < line.size()) setting.value = std::string(value);
    settings.push_back(std::move(setting));
  }
  return settings;
}

Result<std::vector<ConfigSetting>> read_config(const std::string& path, bool must_exist) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    const int error = errno;
    // Not readable: after `su` the home folder is often someone else's.
    const bool not_there = error == ENOENT || error == ENOTDIR || error == EACCES;
    if (!must_exist && not_there) return std::vector<ConfigSetting>();
    return tl::unexpected(
        Error::from_errno(error, "open the configuration file " + path).as(ErrorKind::kUsage));
  }
  std::string text(kMaxFileBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return tl::unexpected(
          Error::from_errno(errno, "read the configuration file " + path).as(ErrorKind::kUsage));
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kMaxFileBytes) return fail(ErrorKind::kUsage, path + ": larger than 64 KiB");
  text.resize(size);
  return TRY_IN(parse_config(text), path);
}

}  // namespace cryostat::cli
