// Writes one record stream: a file header, then length-prefixed, checksummed protobuf messages.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/image/format.h"

namespace google::protobuf {
class MessageLite;
}

namespace cryostat::image {

class FileHash;
struct RecordView;

// Buffered; bytes are on the file only after flush().
class RecordWriter {
 public:
  // Takes an empty file open for writing. `path` is for messages.
  RecordWriter(UniqueFd fd, std::string path, FileType type);
  RecordWriter(RecordWriter&&) noexcept;
  RecordWriter& operator=(RecordWriter&&) noexcept;
  ~RecordWriter();

  // Errors: the message is longer than kMaxRecordBytes; write errors (disk full carries a hint).
  template <typename Message>
  Result<void> append(const Message& message) {
    return append_tagged(RecordTag<Message>::value, message);
  }

  // A record as a RecordReader gave it.
  Result<void> append(const RecordView& record);

  Result<void> flush();

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  uint64_t size_bytes() const { return size_bytes_; }  // buffered bytes included
  uint64_t record_count() const { return record_count_; }
  uint64_t xxh3() const;  // of every byte appended so far

 private:
  Result<void> append_tagged(uint32_t tag, const google::protobuf::MessageLite& message);
  Result<void> finish_record(uint32_t tag, size_t at);

  UniqueFd fd_;
  std::string path_;
  std::vector<uint8_t> buffer_;
  std::unique_ptr<FileHash> hash_;
  uint64_t size_bytes_ = 0;
  uint64_t record_count_ = 0;
};

// A failed write to an image: names the path; for ENOSPC and EDQUOT the hint says how much was
// still to be written and how much is free. `errno_value` as the failing call left it.
Error write_error(int errno_value, int fd, const std::string& path, uint64_t bytes_left);

}  // namespace cryostat::image
