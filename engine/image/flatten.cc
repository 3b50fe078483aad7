#include "engine/image/flatten.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/span.h"
#include "engine/image/checkpoint_writer.h"
#include "proto/manifest.pb.h"
#include "proto/pagemap.pb.h"

namespace cryostat::image {

namespace {

constexpr uint64_t kChunkPages = 64;
constexpr int kRunsPerRecord = 4096;

// Where the pages of one store went: ranges in the order they were copied.
struct Moved {
  StoreRange range;
  uint64_t new_first = 0;
};

class Flattening {
 public:
  Flattening(const Chain& chain, CheckpointWriter& writer, const StopRequest& stop)
      : chain_(chain), writer_(writer), stop_(stop), used_(chain.used_pages()) {}

  Result<void> run() {
    for (const FileType type :
         {FileType::kTasks, FileType::kMemory, FileType::kFiles, FileType::kStats})
      if (chain_.head().has(type)) TRY(copy_records(type));
    for (size_t store = 0; store < used_.size(); ++store) TRY(copy_pages(store));
    for (const auto& [key, runs] : chain_.pagemap().owners) TRY(write_runs(key, runs));
    TRY(writer_.stream(FileType::kPagemap));
    pb::Manifest manifest = chain_.head().manifest();
    manifest.clear_files();
    manifest.clear_parent();
    manifest.clear_checkpoint_id();
    return writer_.commit(std::move(manifest));
  }

 private:
  Result<void> copy_records(FileType type) {
    RecordReader records = TRY(chain_.head().records(type));
    RecordWriter* const to = TRY(writer_.stream(type));
    while (const auto record = TRY(records.next())) TRY(to->append(*record));
    return {};
  }

  Result<void> copy_pages(size_t store) {
    const CheckpointReader& from = chain_.member(store);
    moved_.emplace_back();
    for (const StoreRange& range : used_[store]) {
      moved_.back().push_back({range, writer_.pages().next_index()});
      for (uint64_t done = 0; done < range.count; done += kChunkPages)
        TRY(copy_chunk(from, range.first + done, std::min(kChunkPages, range.count - done)));
    }
    return {};
  }

  Result<void> copy_chunk(const CheckpointReader& from, uint64_t first, uint64_t count) {
    TRY(stop_.check());
    buffer_.resize(count * kPageSize);
    TRY(from.read_pages(first, buffer_));
    TRY(writer_.pages().append_pages(buffer_, from.sums().subspan(first, count)));
    return {};
  }

  Result<void> write_runs(const PagemapImage::Key& key, const std::vector<PageRun>& runs) {
    pb::PageRuns record;
    record.set_owner(key.first);
    record.set_owner_id(key.second);
    for (const PageRun& run : runs) {
      record.add_address(run.address);
      record.add_page_count(run.page_count);
      record.add_page_index(run.page_index == kZeroPage ? kZeroPage : new_index(run));
      if (record.address_size() < kRunsPerRecord) continue;
      TRY(writer_.append(FileType::kPagemap, record));
      record.clear_address();
      record.clear_page_count();
      record.clear_page_index();
    }
    return record.address_size() > 0 ? writer_.append(FileType::kPagemap, record) : Result<void>{};
  }

  uint64_t new_index(const PageRun& run) const {
    const auto& moved = moved_[run.store];
    const auto after = std::upper_bound(
        moved.begin(), moved.end(), run.page_index,
        [](uint64_t index, const Moved& range) { return index < range.range.first; });
    const Moved& range = *(after - 1);
    return range.new_first + (run.page_index - range.range.first);
  }

  const Chain& chain_;
  CheckpointWriter& writer_;
  const StopRequest& stop_;
  const std::vector<std::vector<StoreRange>> used_;
  std::vector<std::vector<Moved>> moved_;  // by store
  std::vector<uint8_t> buffer_;
};

}  // namespace

Result<void> flatten(Chain& chain, const std::string& directory, const StopRequest& stop) {
  const Span span("image.flatten");
  struct stat unused;
  if (stat((directory + "/manifest.img").c_str(), &unused) == 0)
    return fail(ErrorKind::kUsage, fmt::format("{} holds a checkpoint already", directory));
  TRY(chain.load_pages(std::max(std::thread::hardware_concurrency(), 1U), stop));
  auto writer = TRY(CheckpointWriter::create(directory));
  return Flattening(chain, writer, stop).run();
}

}  // namespace cryostat::image
