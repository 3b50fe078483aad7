// What lies outside a checkpoint: named with --external at the dump, handed in with --inherit-fd at
// the restore.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::files {

struct OpenDescription;

// "KIND[ID]" or "KIND[ID]:KEY":
//   file[MNT_ID:INODE], tty[RDEV:DEV]          hexadecimal numbers
//   pipe[INODE], unix[INODE], socket[INODE]    decimal
// The mount id is that of /proc/<pid>/fdinfo, the rest is from stat(2).
struct ExternalName {
  enum class Kind : uint8_t { kFile, kTty, kPipe, kSocket };
  Kind kind = Kind::kFile;
  uint64_t first = 0;   // mount id, device of the terminal, or inode
  uint64_t second = 0;  // inode, device of the file system; 0 for pipes and sockets
  std::string key;      // KEY, or the canonical form of "KIND[ID]"

  bool names(const OpenDescription& description) const;
};

// kUsage with what is wrong.
Result<ExternalName> parse_external(std::string_view text);

// The key under which the description is handed in; nothing when it is not external.
std::optional<std::string> external_key(const std::vector<ExternalName>& names,
                                        const OpenDescription& description);

// A descriptor of cr-restore's caller for each key.
using InheritedFds = std::map<std::string, int>;

// Adds "fd[N]:KEY". Keys may also be written as links of /proc/<pid>/fd are ("pipe:[4711]"). kUsage
// for a descriptor that is not open or a key that is there already.
Result<void> add_inherited(std::string_view text, InheritedFds& fds);

}  // namespace cryostat::files
