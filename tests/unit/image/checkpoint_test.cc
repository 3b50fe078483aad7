// Whole checkpoints: what is written is read back, and no damage goes unnoticed.
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "engine/image/chain.h"
#include "engine/image/checkpoint_images.h"
#include "engine/image/checkpoint_reader.h"
#include "engine/image/checkpoint_writer.h"
#include "tests/support/catch.h"
#include "tests/unit/image/sample_checkpoint.h"

namespace cryostat::image {
namespace {

namespace fs = std::filesystem;

// Everything a restore reads.
Result<void> read_everything(const std::string& directory) {
  const auto chain = TRY(Chain::open(directory));
  const auto images = TRY(load_images(chain));
  (void)images;
  const StopRequest stop;
  return chain.verify_pages(2, stop);
}

std::string message_of(const Result<void>& result) {
  REQUIRE_FALSE(result);
  return result.error().message();
}

TEST_CASE("a checkpoint is read back as written") {
  const TempFolder folder;
  const auto parts = sample_parts();
  REQUIRE(write_sample(folder.path(), parts));

  const auto chain = Chain::open(folder.path());
  REQUIRE(chain);
  REQUIRE(chain->head().manifest().root_pid() == 42);
  REQUIRE(chain->head().manifest().checkpoint_id().size() == 32);
  REQUIRE(chain->head().page_count() == 3);
  const auto images = load_images(*chain);
  REQUIRE(images);
  REQUIRE(images->tasks.root().threads.front().comm() == "sample");
  REQUIRE(images->mm.spaces.front().vmas.size() == 1);
  REQUIRE(images->files.description(1).char_device().path() == "/dev/null");
  REQUIRE(images->pagemap.runs(pb::PageRuns::ADDRESS_SPACE, 1).front().page_count == 3);
  REQUIRE(images->pagemap.runs(pb::PageRuns::SHARED_MEMORY, 1).empty());
  const StopRequest stop;
  REQUIRE(chain->verify_pages(4, stop));
}

TEST_CASE("a folder is written by one dump at a time") {
  const TempFolder folder;
  {
    auto first = CheckpointWriter::create(folder.path());
    REQUIRE(first);
    const auto second = CheckpointWriter::create(folder.path());
    REQUIRE_FALSE(second);
    CHECK(second.error().message().find("another dump is writing to") != std::string::npos);
    CHECK(fs::exists(folder.path() + "/pages.img"));
  }
  REQUIRE(write_sample(folder.path(), sample_parts()));
  REQUIRE(read_everything(folder.path()));
}

TEST_CASE("images are readable by their owner only") {
  const TempFolder folder;
  const mode_t before = umask(0);
  REQUIRE(write_sample(folder.path(), sample_parts()));
  umask(before);
  for (const auto& entry : fs::directory_iterator(folder.path()))
    REQUIRE((entry.status().permissions() & fs::perms::mask) ==
            (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("one flipped bit in any byte of any file is found") {
  const TempFolder folder;
  REQUIRE(write_sample(folder.path(), sample_parts()));
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    const std::string path = entry.path();
    const std::string good = read_whole(path);
    // Page data is checked page by page, records and headers field by field.
    const size_t step = entry.path().filename() == "pages.img" ? 61 : 1;
    for (size_t at = 0; at < good.size(); at += step) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
      write_whole(path, bad);
      const auto result = read_everything(folder.path());
      INFO(path << " byte " << at);
      REQUIRE_FALSE(result);
      REQUIRE(result.error().kind() == ErrorKind::kImages);
    }
    write_whole(path, good);
  }
  REQUIRE(read_everything(folder.path()));
}

TEST_CASE("a file cut short or grown is found") {
  const TempFolder folder;
  REQUIRE(write_sample(folder.path(), sample_parts()));
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    const std::string path = entry.path();
    const std::string good = read_whole(path);
    const size_t step = entry.path().filename() == "pages.img" ? 61 : 1;
    for (size_t length = 0; length <= good.size() + step; length += step) {
      if (length == good.size()) continue;
      write_whole(path, length < good.size() ? good.substr(0, length) : good + 'x');
      const auto result = read_everything(folder.path());
      INFO(path << " length " << length);
      REQUIRE_FALSE(result);
      REQUIRE(result.error().kind() == ErrorKind::kImages);
    }
    fs::remove(path);
    REQUIRE_FALSE(read_everything(folder.path()));
    write_whole(path, good);
  }
}

TEST_CASE("a folder that is no checkpoint says why") {
  const TempFolder folder;
  CHECK(mentions(message_of(read_everything(folder.path())), "No such file"));
  fs::create_directory(folder.path());
  CHECK(mentions(message_of(read_everything(folder.path())), "holds no checkpoint"));
  write_whole(folder.path() + "/pages.img", "");
  CHECK(
      mentions(message_of(read_everything(folder.path())), "incomplete: the dump was interrupted"));
}

TEST_CASE("images of a newer version are refused by number") {
  const TempFolder folder;
  REQUIRE(write_sample(folder.path(), sample_parts()));
  std::string manifest = read_whole(folder.path() + "/manifest.img");
  manifest[8] = 9;
  write_whole(folder.path() + "/manifest.img", manifest);
  CHECK(mentions(message_of(read_everything(folder.path())),
                 "format version 9, this build reads up to 1"));
}

TEST_CASE("another architecture is a machine that does not fit") {
  const TempFolder folder;
  auto parts = sample_parts();
  parts.manifest.mutable_cpu()->set_architecture("aarch64");
  REQUIRE(write_sample(folder.path(), parts));
  const auto result = read_everything(folder.path());
  CHECK(mentions(message_of(result), "aarch64"));
  CHECK(result.error().kind() == ErrorKind::kMachine);
}

TEST_CASE("a host name that is not UTF-8 does not spoil the checkpoint") {
  const TempFolder folder;
  const pid_t pid = fork();
  if (pid == 0) {
    if (unshare(CLONE_NEWUTS) != 0 || sethostname("\xff\xfe", 2) != 0) _exit(77);
    _exit(write_sample(folder.path(), sample_parts()) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
    WARN("skipped: a UTS namespace of its own is not permitted here");
    return;
  }
  REQUIRE(status == 0);
  const auto reader = CheckpointReader::open(folder.path());
  REQUIRE(reader);
  CHECK(reader->manifest().host_name() == "??");
}

TEST_CASE("a writer without commit leaves nothing") {
  const TempFolder folder;
  {
    auto writer = CheckpointWriter::create(folder.path());
    REQUIRE(writer);
    REQUIRE(append_sample(*writer, sample_parts()));
    REQUIRE(fs::exists(folder.path() + "/tasks.img"));
  }
  REQUIRE_FALSE(fs::exists(folder.path()));
}

TEST_CASE("a new dump gives up the old checkpoint at once") {
  const TempFolder folder;
  REQUIRE(write_sample(folder.path(), sample_parts()));
  {
    auto writer = CheckpointWriter::create(folder.path());
    REQUIRE(writer);
    REQUIRE_FALSE(fs::exists(folder.path() + "/manifest.img"));
    REQUIRE(append_sample(*writer, sample_parts()));
  }
  REQUIRE(fs::is_empty(folder.path()));
  REQUIRE(write_sample(folder.path(), sample_parts()));
  REQUIRE(read_everything(folder.path()));
}

TEST_CASE("bytes past the last declared page are cut off") {
  const TempFolder folder;
  auto writer = CheckpointWriter::create(folder.path());
  REQUIRE(writer);
  const auto parts = sample_parts();
  REQUIRE(append_sample(*writer, parts));
  REQUIRE(pwrite(writer->pages().pages_fd(), "tail", 4, 5 * kPageSize) == 4);
  REQUIRE(writer->commit(parts.manifest));
  REQUIRE(read_everything(folder.path()));
}

TEST_CASE("deferred pages lie where they would have been written") {
  const TempFolder folder;
  auto writer = CheckpointWriter::create(folder.path());
  REQUIRE(writer);
  PageStoreWriter& pages = writer->pages();
  const auto page_of = [](uint8_t byte, size_t count) {
    return std::vector<uint8_t>(count * kPageSize, byte);
  };
  const auto byte_at = [&](uint64_t page) {
    uint8_t byte = 0;
    return pread(pages.pages_fd(), &byte, 1, static_cast<off_t>(page * kPageSize)) == 1 ? byte : 0;
  };
  pages.defer_pages(4 * kPageSize);
  REQUIRE(pages.append_pages(page_of(1, 2)) == 0u);
  REQUIRE(pages.append_pages(page_of(2, 1)) == 2u);
  CHECK(pages.next_index() == 3);
  CHECK(byte_at(0) == 0);
  SECTION("more than fits") {
    REQUIRE(pages.append_pages(page_of(3, 2)) == 3u);
    CHECK(byte_at(4) == 3);
  }
  SECTION("pages of another writer") {
    // Once what is hashed at the end, once what gets a thread.
    const size_t count = GENERATE(2u, 1000u);
    const auto theirs = page_of(3, count);
    const uint64_t at = pages.next_offset_bytes();
    REQUIRE(pwrite(pages.pages_fd(), theirs.data(), theirs.size(), static_cast<off_t>(at)) ==
            static_cast<ssize_t>(theirs.size()));
    REQUIRE(pages.add_written(count) == 3u);
  }
  const uint64_t end = pages.next_index();
  REQUIRE(pages.append_pages(page_of(4, 1)) == end);
  const auto parts = sample_parts();
  REQUIRE(writer->commit(parts.manifest));
  CHECK(byte_at(0) == 1);
  CHECK(byte_at(2) == 2);
  CHECK(byte_at(3) == 3);
  CHECK(byte_at(end) == 4);
  const auto reader = CheckpointReader::open(folder.path());
  REQUIRE(reader);
  REQUIRE(reader->page_count() == end + 1);
  const StopRequest stop;
  REQUIRE(reader->verify_pages(0, end + 1, stop));
}

}  // namespace
}  // namespace cryostat::image
