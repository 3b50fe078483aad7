// Reads one record stream, checking every byte before it is handed out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/image/format.h"

namespace google::protobuf {
class MessageLite;
}

namespace cryostat::image {

// One record whose checksum was right. The payload is valid until the reader's next call.
struct RecordView {
  uint32_t tag;
  uint64_t offset_bytes;  // of the record header in the file
  std::string_view payload;

  template <typename Message>
  bool is() const {
    return tag == RecordTag<Message>::value;
  }
};

// Every error is kImages and names file, offset and reason.
class RecordReader {
 public:
  // Takes a file open for reading at offset 0 and checks its header: magic, version, type,
  // checksum.
  static Result<RecordReader> open(UniqueFd fd, std::string path, FileType type);

  // The next record, or nothing at the end of the file. Errors: truncated, checksum mismatch,
  // record too long, unknown record type.
  Result<std::optional<RecordView>> next();

  // The message in a record. Error: the payload is no such message, or the record another type.
  template <typename Message>
  Result<Message> parse(const RecordView& record) const {
    Message message;
    if (auto parsed = parse_into(record, RecordTag<Message>::value, message); !parsed)
      return tl::unexpected(std::move(parsed).error());
    return message;
  }

  // An error about a record of this file: "mm.img: record at byte 4711: REASON".
  Failure fail_at(const RecordView& record, std::string_view reason) const;

  const std::string& path() const { return path_; }
  uint64_t size_bytes() const { return size_bytes_; }

 private:
  RecordReader(UniqueFd fd, std::string path, uint64_t size_bytes)
      : fd_(std::move(fd)), path_(std::move(path)), size_bytes_(size_bytes) {}
  Result<void> fill(uint64_t bytes);
  Failure fail_here(uint64_t offset, std::string_view reason) const;
  Result<void> parse_into(const RecordView& record, uint32_t tag,
                          google::protobuf::MessageLite& message) const;

  UniqueFd fd_;
  std::string path_;
  uint64_t size_bytes_;
  uint64_t offset_ = 0;          // of buffer_[begin_] in the file
  std::vector<uint8_t> buffer_;  // bytes read ahead: [begin_, end_)
  size_t begin_ = 0;
  size_t end_ = 0;
};

// Checks a file header (magic, version, type, checksum). `path` is for messages.
Result<void> check_file_header(const FileHeader& header, FileType type, const std::string& path);

}  // namespace cryostat::image
