#include "engine/cli/report.h"

#include <fmt/format.h>

namespace cryostat::cli {

namespace {
// Names of files and processes come from the target: they must not drive the reader's terminal.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return out;
}
}  // namespace

std::string_view kind_prefix(ErrorKind kind) {
  return kind == ErrorKind::kTargetGone ? "target gone" : kind_name(kind);
}

std::string_view kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kFailed:
      return "error";
    case ErrorKind::kUsage:
      return "usage";
    case ErrorKind::kRefused:
      return "refused";
    case ErrorKind::kTargetGone:
      return "target-gone";
    case ErrorKind::kImages:
      return "images";
    case ErrorKind::kMachine:
      return "machine";
    case ErrorKind::kPermission:
      return "permission";
  }
  return "error";
}

std::string error_text(std::string_view tool, const Error& error) {
  const std::string_view prefix = kind_prefix(error.kind());
  std::string text = fmt::format("{}: {}: {}\n", tool, prefix, printable(error.message()));
  for (const std::string& line : error.lines())
    text += fmt::format("{}: {}: {}\n", tool, prefix, printable(line));
  if (!error.hint().empty()) text += fmt::format("  hint: {}\n", printable(error.hint()));
  return text;
}

}  // namespace cryostat::cli
