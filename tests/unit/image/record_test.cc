// Record streams and page sums.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "engine/image/page_sum.h"
#include "engine/image/record_reader.h"
#include "engine/image/record_writer.h"
#include "engine/image/write_all.h"
#include "proto/files.pb.h"
#include "proto/task.pb.h"
#include "tests/support/catch.h"
#include "tests/unit/image/sample_checkpoint.h"

namespace cryostat::image {
namespace {

UniqueFd memory_file() { return UniqueFd(memfd_create("record_test", MFD_CLOEXEC)); }

UniqueFd from_start(int fd) {
  UniqueFd copy(dup(fd));
  lseek(copy.get(), 0, SEEK_SET);
  return copy;
}

TEST_CASE("records come back in order, large ones too") {
  RecordWriter writer(memory_file(), "memory", FileType::kFiles);
  for (int i = 0; i < 100; ++i) {
    pb::GhostData ghost;
    ghost.set_ghost_id(i);
    ghost.set_chunk(std::string(i % 10 == 0 ? 300'000 : i, 'g'));
    REQUIRE(writer.append(ghost));
  }
  REQUIRE(writer.flush());
  REQUIRE(writer.record_count() == 100);
  REQUIRE(lseek(writer.fd(), 0, SEEK_END) == static_cast<off_t>(writer.size_bytes()));

  auto reader = RecordReader::open(from_start(writer.fd()), "memory", FileType::kFiles);
  REQUIRE(reader);
  for (uint32_t i = 0; i < 100; ++i) {
    const auto record = reader->next();
    REQUIRE(record);
    REQUIRE(*record);
    const auto ghost = reader->parse<pb::GhostData>(**record);
    REQUIRE(ghost);
    REQUIRE(ghost->ghost_id() == i);
    REQUIRE(ghost->chunk().size() == (i % 10 == 0 ? 300'000 : i));
  }
  const auto end = reader->next();
  REQUIRE(end);
  REQUIRE_FALSE(*end);
}

TEST_CASE("a file of another type is refused") {
  RecordWriter writer(memory_file(), "memory", FileType::kFiles);
  REQUIRE(writer.flush());
  REQUIRE_FALSE(RecordReader::open(from_start(writer.fd()), "memory", FileType::kTasks));
}

TEST_CASE("a record of another type is refused") {
  RecordWriter writer(memory_file(), "memory", FileType::kTasks);
  REQUIRE(writer.append(pb::Task()));
  REQUIRE(writer.flush());
  auto reader = RecordReader::open(from_start(writer.fd()), "memory", FileType::kTasks);
  REQUIRE(reader);
  const auto record = reader->next();
  REQUIRE(record);
  REQUIRE_FALSE(reader->parse<pb::Thread>(**record));
}

TEST_CASE("names need not be UTF-8") {
  RecordWriter writer(memory_file(), "memory", FileType::kTasks);
  pb::Thread thread;
  thread.set_comm("\xff\xfe");
  REQUIRE(writer.append(thread));
  REQUIRE(writer.flush());
  auto reader = RecordReader::open(from_start(writer.fd()), "memory", FileType::kTasks);
  REQUIRE(reader);
  const auto record = reader->next();
  REQUIRE(record);
  const auto parsed = reader->parse<pb::Thread>(**record);
  REQUIRE(parsed);
  CHECK(parsed->comm() == thread.comm());
}

TEST_CASE("a length that leads past the end allocates nothing") {
  auto fd = memory_file();
  const FileHeader header = make_file_header(FileType::kTasks);
  const RecordHeader record{kMaxRecordBytes, 2, 0};
  REQUIRE(write_all(fd.get(), &header, sizeof(header), "memory"));
  REQUIRE(write_all(fd.get(), &record, sizeof(record), "memory"));
  auto reader = RecordReader::open(from_start(fd.get()), "memory", FileType::kTasks);
  REQUIRE(reader);
  const auto next = reader->next();
  REQUIRE_FALSE(next);
  CHECK(mentions(next.error().message(), "truncated"));
}

TEST_CASE("page sums are the canonical XXH3-128") {
  const std::string zeros(4096, '\0');
  const PageSum sum = page_sum(zeros.data());
  std::string hex;
  for (const uint8_t byte : sum.bytes) {
    char text[3];
    snprintf(text, sizeof(text), "%02x", byte);
    hex += text;
  }
  // xxhsum -H128 of 4096 zero bytes.
  CHECK(hex == "3ee8dc4f9e7ee49593d76fe148c689ba");
}

TEST_CASE("a full disk is an error with a hint") {
  UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  REQUIRE(full);
  const auto result = write_all(full.get(), "abc", 3, "/dev/full");
  REQUIRE_FALSE(result);
  CHECK(mentions(result.error().message(), "ENOSPC"));
  CHECK(mentions(result.error().hint(), "3 more are needed"));
}

}  // namespace
}  // namespace cryostat::image
