#include "engine/procfs/statm.h"

#include "engine/procfs/text_cursor.h"

namespace cryostat::procfs {

Result<Statm> parse_statm(std::string_view text) {
  Statm statm;
  TextCursor cursor(text);
  if (!cursor.next_number(statm.size_pages) || !cursor.next_number(statm.resident_pages) ||
      !cursor.next_number(statm.shared_pages)) {
    return fail(ErrorKind::kFailed, "malformed statm: " + std::string(text.substr(0, 80)));
  }
  return statm;
}

}  // namespace cryostat::procfs
