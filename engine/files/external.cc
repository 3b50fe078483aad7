#include "engine/files/external.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <charconv>

#include "engine/files/open_description.h"

namespace cryostat::files {

namespace {

using Kind = ExternalName::Kind;

struct KindName {
  std::string_view name;
  Kind kind;
  bool is_pair;  // two hexadecimal numbers; one decimal one otherwise
};

constexpr std::array kNames = {
    KindName{"file", Kind::kFile, true},      KindName{"tty", Kind::kTty, true},
    KindName{"pipe", Kind::kPipe, false},     KindName{"unix", Kind::kSocket, false},
    KindName{"socket", Kind::kSocket, false},
};

std::optional<uint64_t> number(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

bool read_id(std::string_view id, bool is_pair, ExternalName& name) {
  const auto colon = id.find(':');
  if (is_pair != (colon != std::string_view::npos)) return false;
  const auto first = number(id.substr(0, colon), is_pair ? 16 : 10);
  const auto second = is_pair ? number(id.substr(colon + 1), 16) : 0;
  if (!first || !second) return false;
  name.first = *first;
  name.second = *second;
  return true;
}

std::string canonical(const ExternalName& name) {
  switch (name.kind) {
    case Kind::kFile:
      return fmt::format("file[{:x}:{:x}]", name.first, name.second);
    case Kind::kTty:
      return fmt::format("tty[{:x}:{:x}]", name.first, name.second);
    case Kind::kPipe:
      return fmt::format("pipe[{}]", name.first);
    default:
      return fmt::format("socket[{}]", name.first);
  }
}

// "KIND[ID]" and what follows; nothing when it is not of this form.
std::optional<std::pair<ExternalName, std::string_view>> read_name(std::string_view text) {
  for (const auto& [word, kind, is_pair] : kNames) {
    if (!text.starts_with(word)) continue;
    auto rest = text.substr(word.size());
    if (rest.starts_with(":[")) rest.remove_prefix(1);
    const auto end = rest.find(']');
    if (!rest.starts_with('[') || end == std::string_view::npos) continue;
    ExternalName name;
    name.kind = kind;
    if (!read_id(rest.substr(1, end - 1), is_pair, name)) continue;
    name.key = canonical(name);
    return std::pair(std::move(name), rest.substr(end + 1));
  }
  return std::nullopt;
}

Failure bad_external(std::string_view text) {
  return tl::unexpected(
      Error(ErrorKind::kUsage, fmt::format("'{}' is not KIND[ID] or KIND[ID]:KEY", text))
          .with_hint("kinds are file[MNT_ID:INODE] and tty[RDEV:DEV] (hexadecimal), pipe[INODE], "
                     "unix[INODE] and socket[INODE]"));
}

}  // namespace

bool ExternalName::names(const OpenDescription& description) const {
  const auto& st = description.st;
  if (description.is_path_only()) return false;
  switch (kind) {
    case Kind::kFile:
      return static_cast<uint64_t>(description.info.mount_id) == first && st.st_ino == second;
    case Kind::kTty:
      return S_ISCHR(st.st_mode) && st.st_rdev == first && st.st_dev == second;
    case Kind::kPipe:
      return S_ISFIFO(st.st_mode) && description.link.starts_with("pipe:") && st.st_ino == first;
    default:
      return S_ISSOCK(st.st_mode) && st.st_ino == first;
  }
}

Result<ExternalName> parse_external(std::string_view text) {
  auto parsed = read_name(text);
  if (!parsed) return bad_external(text);
  auto& [name, rest] = *parsed;
  if (rest.empty()) return std::move(name);
  if (!rest.starts_with(':') || rest.size() == 1) return bad_external(text);
  name.key = rest.substr(1);
  return std::move(name);
}

std::optional<std::string> external_key(const std::vector<ExternalName>& names,
                                        const OpenDescription& description) {
  for (const auto& name : names)
    if (name.names(description)) return name.key;
  return std::nullopt;
}

Result<void> add_inherited(std::string_view text, InheritedFds& fds) {
  const auto end = text.find("]:");
  const auto fd = text.starts_with("fd[") && end != std::string_view::npos
                      ? number(text.substr(3, end - 3), 10)
                      : std::nullopt;
  if (!fd || *fd > 0x7fffffff || text.size() == end + 2)
    return fail(ErrorKind::kUsage, fmt::format("'{}' is not fd[N]:KEY", text));
  const auto number = static_cast<int>(*fd);
  if (fcntl(number, F_GETFD) < 0)
    return tl::unexpected(Error(ErrorKind::kUsage, fmt::format("descriptor {} is not open", number))
                              .with_hint("the caller of cr-restore has to open it"));
  std::string key(text.substr(end + 2));
  if (const auto name = read_name(key); name && name->second.empty()) key = name->first.key;
  if (!fds.emplace(key, number).second)
    return fail(ErrorKind::kUsage, fmt::format("'{}' is handed in twice", key));
  return {};
}

}  // namespace cryostat::files
