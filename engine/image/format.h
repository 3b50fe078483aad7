// The bytes of an image file: header, record framing, type numbers (docs/image-format.md). All
// integers are little endian.
#pragma once

#include <cstdint>
#include <string_view>

namespace cryostat::pb {
class AddressSpace;
class Description;
class DescriptorTable;
class DumpStats;
class GhostData;
class IpcNamespace;
class Manifest;
class MappedFile;
class PageBlocks;
class PageRuns;
class RestoreStats;
class SharedMemory;
class Task;
class Thread;
class Vma;
}  // namespace cryostat::pb

namespace cryostat::image {

inline constexpr char kMagic[8] = {'C', 'R', 'Y', 'O', 'S', 'T', 'A', 'T'};
// Raised when a reader of the previous version would misread an image.
inline constexpr uint32_t kImageFormatVersion = 1;

// The files of a checkpoint. The values are on disk, in the file header.
enum class FileType : uint32_t {
  kManifest = 1,
  kTasks = 2,
  kMemory = 3,
  kFiles = 4,
  kPagemap = 5,
  kStats = 6,
  kPageSums = 7,  // raw: after the header, one PageSum for each page of pages.img
  kPages = 8,     // raw: page data only, no header
  // Instead of kPages in a compressed checkpoint:
  kPageBlocks = 9,    // one PageBlocks record
  kPackedPages = 10,  // raw: compressed blocks, no header
};
inline constexpr FileType kLastFileType = FileType::kPackedPages;

// "tasks.img" and so on.
std::string_view file_name(FileType type);

// The first bytes of every file but page data. Magic and version stay where they are in every
// future version.
struct FileHeader {
  char magic[8];
  uint32_t version;
  uint32_t file_type;
  uint64_t reserved;  // zero
  uint64_t xxh3;      // XXH3-64 of the 24 bytes before
};
static_assert(sizeof(FileHeader) == 32);

// Before each record's payload (a serialised protobuf message).
struct RecordHeader {
  uint32_t length_bytes;  // of the payload
  uint32_t tag;           // RecordTag
  uint64_t xxh3;          // XXH3-64 of length, tag (8 bytes) and payload
};
static_assert(sizeof(RecordHeader) == 16);

// No record is longer; readers refuse longer ones before they allocate.
inline constexpr uint32_t kMaxRecordBytes = 64u << 20;

// The number a message type goes by in record headers.
template <typename Message>
struct RecordTag;

#define CRYOSTAT_RECORD_TAG(message, number)  \
  template <>                                 \
  struct RecordTag<pb::message> {             \
    static constexpr uint32_t value = number; \
  }
CRYOSTAT_RECORD_TAG(Manifest, 1);
CRYOSTAT_RECORD_TAG(Task, 2);
CRYOSTAT_RECORD_TAG(Thread, 3);
CRYOSTAT_RECORD_TAG(AddressSpace, 4);
CRYOSTAT_RECORD_TAG(Vma, 5);
CRYOSTAT_RECORD_TAG(MappedFile, 6);
CRYOSTAT_RECORD_TAG(SharedMemory, 7);
CRYOSTAT_RECORD_TAG(Description, 8);
CRYOSTAT_RECORD_TAG(GhostData, 9);
CRYOSTAT_RECORD_TAG(DescriptorTable, 10);
CRYOSTAT_RECORD_TAG(PageRuns, 11);
CRYOSTAT_RECORD_TAG(DumpStats, 12);
CRYOSTAT_RECORD_TAG(RestoreStats, 13);
CRYOSTAT_RECORD_TAG(PageBlocks, 20);
CRYOSTAT_RECORD_TAG(IpcNamespace, 95);
#undef CRYOSTAT_RECORD_TAG

// "Task" for 2; empty for numbers this build does not know.
std::string_view record_name(uint32_t tag);

// Run of zero pages in pb::PageRuns.page_index: takes no space in pages.img.
inline constexpr uint64_t kZeroPage = ~uint64_t{0};

// Pages that are as in the parent checkpoint at the same address.
inline constexpr uint64_t kInParentPage = kZeroPage - 1;

// A header for a file of this build's version, with its checksum.
FileHeader make_file_header(FileType type);

}  // namespace cryostat::image
