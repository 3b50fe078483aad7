#include "engine/procfs/cpuinfo.h"

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

Result<CpuInfo> parse_cpuinfo(std::string_view text) {
  CpuInfo info;
  TextCursor lines(text);
  while (!lines.at_end()) {
    const std::string_view line = lines.line();
    if (line.empty()) break;  // the next processor
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    TextCursor value(line.substr(colon + 1));
    value.skip_blanks();
    if (line.starts_with("model name")) {
      info.model_name = value.rest();
    } else if (line.starts_with("flags")) {
      for (std::string_view flag = value.word(); !flag.empty(); flag = value.word()) {
        info.flags.emplace_back(flag);
      }
    }
  }
  if (info.flags.empty()) return fail(ErrorKind::kFailed, "cpuinfo: no flags line");
  return info;
}

}  // namespace cryostat::procfs
