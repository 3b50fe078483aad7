#include "engine/image/record_reader.h"

#include <fmt/format.h>
#include <google/protobuf/message_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "engine/image/file_hash.h"

namespace cryostat::image {

namespace {
constexpr size_t kReadAheadBytes = 64 << 10;

// libprotobuf prints what it finds wrong with a message; our errors say it, once.
void silence_protobuf() {
  static const auto former = google::protobuf::SetLogHandler(nullptr);
  (void)former;
}
}  // namespace

Result<void> check_file_header(const FileHeader& header, FileType type, const std::string& path) {
  const auto damaged = [&](std::string reason) {
    return fail(ErrorKind::kImages, fmt::format("{}: byte 0: {}", path, reason));
  };
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return damaged("not a Cryostat image (wrong magic)");
  if (header.version > kImageFormatVersion)
    return fail(ErrorKind::kImages,
                fmt::format("{}: written in image format version {}, this build reads up to {}",
                            path, header.version, kImageFormatVersion));
  if (header.xxh3 != XXH3_64bits(&header, offsetof(FileHeader, xxh3)))
    return damaged("checksum mismatch in the file header");
  if (header.version == 0) return damaged("format version 0 does not exist");
  if (header.file_type != static_cast<uint32_t>(type))
    return damaged(fmt::format("file of type {}, expected {} ({})", header.file_type,
                               static_cast<uint32_t>(type), file_name(type)));
  return {};
}

Result<RecordReader> RecordReader::open(UniqueFd fd, std::string path, FileType type) {
  silence_protobuf();
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return fail_errno(fmt::format("stat {}", path));
  RecordReader reader(std::move(fd), std::move(path), static_cast<uint64_t>(info.st_size));
  if (reader.size_bytes_ < sizeof(FileHeader))
    return reader.fail_here(reader.size_bytes_, "truncated: the file ends inside its header");
  TRY(reader.fill(sizeof(FileHeader)));
  FileHeader header;
  std::memcpy(&header, reader.buffer_.data(), sizeof(header));
  TRY(check_file_header(header, type, reader.path_));
  reader.begin_ = sizeof(header);
  reader.offset_ = sizeof(header);
  return reader;
}

Failure RecordReader::fail_here(uint64_t offset, std::string_view reason) const {
  return fail(ErrorKind::kImages, fmt::format("{}: byte {}: {}", path_, offset, reason));
}

Failure RecordReader::fail_at(const RecordView& record, std::string_view reason) const {
  const auto name = record_name(record.tag);
  return fail(ErrorKind::kImages,
              fmt::format("{}: {} record at byte {}: {}", path_,
                          name.empty() ? std::to_string(record.tag) : std::string(name),
                          record.offset_bytes, reason));
}

// Makes at least `bytes` unread bytes available in the buffer. The caller has checked that the file
// is long enough; a file that shrinks meanwhile is an error.
Result<void> RecordReader::fill(uint64_t bytes) {
  if (end_ - begin_ >= bytes) return {};
  if (begin_ != 0) std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const uint64_t left_bytes = size_bytes_ - offset_;
  buffer_.resize(std::max<uint64_t>(bytes, std::min<uint64_t>(kReadAheadBytes, left_bytes)));
  while (end_ < bytes) {
    const ssize_t got = read(fd_.get(), buffer_.data() + end_, buffer_.size() - end_);
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail_errno(fmt::format("read {}", path_));
    }
    if (got == 0) return fail_here(offset_ + end_, "truncated while it was being read");
    end_ += static_cast<size_t>(got);
  }
  return {};
}

Result<std::optional<RecordView>> RecordReader::next() {
  const uint64_t left_bytes = size_bytes_ - offset_;
  if (left_bytes == 0) return std::nullopt;
  if (left_bytes < sizeof(RecordHeader))
    return fail_here(offset_, "truncated: the file ends inside a record header");
  TRY(fill(sizeof(RecordHeader)));
  RecordHeader header;
  std::memcpy(&header, buffer_.data() + begin_, sizeof(header));
  if (header.length_bytes > kMaxRecordBytes)
    return fail_here(offset_, fmt::format("damaged: record of {} bytes, at most {} are allowed",
                                          header.length_bytes, kMaxRecordBytes));
  const uint64_t whole_bytes = sizeof(header) + header.length_bytes;
  if (whole_bytes > left_bytes)
    return fail_here(offset_, fmt::format("truncated: record of {} bytes, {} bytes are left",
                                          whole_bytes, left_bytes));
  TRY(fill(whole_bytes));
  const uint8_t* payload = buffer_.data() + begin_ + sizeof(header);
  FileHash sum;
  sum.add(&header, offsetof(RecordHeader, xxh3));
  sum.add(payload, header.length_bytes);
  if (sum.value() != header.xxh3) return fail_here(offset_, "checksum mismatch in a record");

  const RecordView record{
      header.tag, offset_, {reinterpret_cast<const char*>(payload), header.length_bytes}};
  begin_ += whole_bytes;
  offset_ += whole_bytes;
  if (record_name(header.tag).empty())
    return fail_here(record.offset_bytes, fmt::format("unknown record type {}", header.tag));
  return record;
}

Result<void> RecordReader::parse_into(const RecordView& record, uint32_t tag,
                                      google::protobuf::MessageLite& message) const {
  if (record.tag != tag)
    return fail_at(record, fmt::format("expected a {} record here", record_name(tag)));
  if (!message.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size())))
    return fail_at(record, "not a message of its type");
  return {};
}

}  // namespace cryostat::image
