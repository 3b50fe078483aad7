#include "engine/files/file_place.h"

#include <fmt/format.h>

#include <climits>
#include <string_view>

namespace cryostat::files {

namespace {

constexpr std::string_view kDeletedSuffix = " (deleted)";

// Protobuf strings are UTF-8; a path in another encoding would not survive the image.
bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xc2 ? 0
                          : lead < 0xe0 ? 2
                          : lead < 0xf0 ? 3
                          : lead < 0xf5 ? 4
                                        : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    const auto second = length > 2 ? static_cast<unsigned char>(text[i + 1]) : 0;
    // Overlong forms, surrogates, and code points past U+10FFFF.
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
        (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
      return false;
    i += length;
  }
  return true;
}

bool leads_to(const std::string& path, const struct stat& st) {
  struct stat found;
  // lstat: the kernel's path of an open file has no symbolic link in it but, perhaps, the file
  // itself.
  return lstat(path.c_str(), &found) == 0 && found.st_dev == st.st_dev &&
         found.st_ino == st.st_ino && (found.st_mode & S_IFMT) == (st.st_mode & S_IFMT);
}

Failure refuse(std::string reason) { return fail(ErrorKind::kRefused, std::move(reason)); }

}  // namespace

Result<FilePlace> locate_file(const OpenDescription& description) {
  const auto& link = description.link;
  if (link.size() >= PATH_MAX)
    return refuse("a file whose path is longer than 4095 bytes can't be checkpointed");
  if (!link.starts_with('/'))
    return refuse(fmt::format("{}: a file with no path from here can't be checkpointed", link));
  if (!is_utf8(link)) return refuse("a file whose path is not UTF-8 can't be checkpointed yet");
  // First of all as it stands: a file may really be called "x (deleted)".
  if (leads_to(link, description.st)) return FilePlace{link, Presence::kThere};
  const bool marked = link.ends_with(kDeletedSuffix);
  const auto path = marked ? link.substr(0, link.size() - kDeletedSuffix.size()) : link;
  // Some file systems never count a directory's links down to 0; the mark alone decides there.
  if (description.st.st_nlink == 0 || (marked && S_ISDIR(description.st.st_mode)))
    return FilePlace{path, Presence::kDeleted};
  if (marked) return FilePlace{path, Presence::kElsewhere};
  return refuse(fmt::format(
      "{} does not lead to the open file any more (replaced, or hidden by a mount)", path));
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Result<std::string> locate_present(const OpenDescription& description, std::string_view what) {
  auto place = TRY(locate_file(description));
  if (place.presence == Presence::kDeleted)
    return refuse(fmt::format("deleted {} ({}) can't be checkpointed", what, place.path));
  if (place.presence == Presence::kElsewhere) return refuse_elsewhere(place.path);
  return std::move(place.path);
}

Failure refuse_elsewhere(const std::string& path) {
  return refuse(
      fmt::format("{} was deleted but the file has another hard link; add --link-remap", path));
}

}  // namespace cryostat::files
