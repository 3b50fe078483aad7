#include "engine/image/record_writer.h"

#include <fmt/format.h>
#include <google/protobuf/message_lite.h>

#include <cstring>

#include "engine/image/file_hash.h"
#include "engine/image/record_reader.h"
#include "engine/image/write_all.h"

namespace cryostat::image {

namespace {
constexpr size_t kFlushBytes = 256 << 10;
}

RecordWriter::RecordWriter(UniqueFd fd, std::string path, FileType type)
    : fd_(std::move(fd)), path_(std::move(path)), hash_(std::make_unique<FileHash>()) {
  const FileHeader header = make_file_header(type);
  buffer_.resize(sizeof(header));
  std::memcpy(buffer_.data(), &header, sizeof(header));
  hash_->add(&header, sizeof(header));
  size_bytes_ = sizeof(header);
}

RecordWriter::RecordWriter(RecordWriter&&) noexcept = default;
RecordWriter& RecordWriter::operator=(RecordWriter&&) noexcept = default;
RecordWriter::~RecordWriter() = default;

uint64_t RecordWriter::xxh3() const { return hash_->value(); }

Result<void> RecordWriter::append_tagged(uint32_t tag,
                                         const google::protobuf::MessageLite& message) {
  const size_t length = message.ByteSizeLong();
  if (length > kMaxRecordBytes)
    return fail(ErrorKind::kFailed,
                fmt::format("append {} to {}: record of {} bytes, at most {} are allowed",
                            record_name(tag), path_, length, kMaxRecordBytes));
  const size_t at = buffer_.size();
  buffer_.resize(at + sizeof(RecordHeader) + length);
  message.SerializeWithCachedSizesToArray(buffer_.data() + at + sizeof(RecordHeader));
  return finish_record(tag, at);
}

Result<void> RecordWriter::append(const RecordView& record) {
  const size_t at = buffer_.size();
  buffer_.resize(at + sizeof(RecordHeader));
  buffer_.insert(buffer_.end(), record.payload.begin(), record.payload.end());
  return finish_record(record.tag, at);
}

// The payload lies behind the place of its header, at `at` in the buffer.
Result<void> RecordWriter::finish_record(uint32_t tag, size_t at) {
  const uint8_t* const payload = buffer_.data() + at + sizeof(RecordHeader);
  const size_t length = buffer_.size() - at - sizeof(RecordHeader);
  RecordHeader header{static_cast<uint32_t>(length), tag, 0};
  FileHash sum;
  sum.add(&header, offsetof(RecordHeader, xxh3));
  sum.add(payload, length);
  header.xxh3 = sum.value();
  std::memcpy(buffer_.data() + at, &header, sizeof(header));

  hash_->add(buffer_.data() + at, sizeof(header) + length);
  size_bytes_ += sizeof(header) + length;
  ++record_count_;
  return buffer_.size() >= kFlushBytes ? flush() : Result<void>{};
}

Result<void> RecordWriter::flush() {
  TRY(write_all(fd_.get(), buffer_.data(), buffer_.size(), path_));
  buffer_.clear();
  return {};
}

}  // namespace cryostat::image
