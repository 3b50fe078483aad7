#include "engine/image/format.h"

#include <xxhash.h>

#include <cstddef>
#include <cstring>

namespace cryostat::image {

std::string_view file_name(FileType type) {
  switch (type) {
    case FileType::kManifest:
      return "manifest.img";
    case FileType::kTasks:
      return "tasks.img";
    case FileType::kMemory:
      return "mm.img";
    case FileType::kFiles:
      return "files.img";
    case FileType::kPagemap:
      return "pagemap.img";
    case FileType::kStats:
      return "stats.img";
    case FileType::kPageSums:
      return "page-sums.img";
    case FileType::kPages:
      return "pages.img";
    case FileType::kPageBlocks:
      return "page-blocks.img";
    case FileType::kPackedPages:
      return "packed-pages.img";
  }
  return "";
}

std::string_view record_name(uint32_t tag) {
  static constexpr std::string_view kNames[] = {
      "",           "Manifest",     "Task",        "Thread",    "AddressSpace",    "Vma",
      "MappedFile", "SharedMemory", "Description", "GhostData", "DescriptorTable", "PageRuns",
      "DumpStats",  "RestoreStats"};
  if (tag == RecordTag<pb::PageBlocks>::value) return "PageBlocks";
  if (tag == RecordTag<pb::IpcNamespace>::value) return "IpcNamespace";
  return tag < std::size(kNames) ? kNames[tag] : std::string_view();
}

FileHeader make_file_header(FileType type) {
  FileHeader header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kImageFormatVersion;
  header.file_type = static_cast<uint32_t>(type);
  header.xxh3 = XXH3_64bits(&header, offsetof(FileHeader, xxh3));
  return header;
}

}  // namespace cryostat::image
