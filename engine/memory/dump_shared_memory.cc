// The content of shared memory objects.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "engine/base/ids.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/memory/dump_pages.h"
#include "engine/memory/page_sink.h"
#include "engine/memory/pagemap_writer.h"
#include "engine/memory/parent_images.h"
#include "engine/memory/shared_memory.h"

namespace cryostat::memory {

namespace {

class ObjectDump {
 public:
  ObjectDump(const SharedMemoryObject& object, ParentContent* parent,
             image::CheckpointWriter& writer, const StopRequest& stop, Progress& progress)
      : object_(object),
        sink_(writer.pages()),
        pagemap_(writer, pb::PageRuns::SHARED_MEMORY, object.id,
                 parent != nullptr ? parent->owner_id() : 0),
        stop_(stop),
        progress_(progress) {
    sink_.compare_with(parent);
  }

  Result<PageCounts> run() {
    // A hugetlbfs file knows no holes: all of it counts as data there, and zero pages are left out
    // below.
    for (off_t at = 0; static_cast<uint64_t>(at) < object_.size_bytes;) {
      const off_t data = lseek(object_.fd.get(), at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;
      if (data < 0) return fail_errno("look for data");
      const off_t hole = lseek(object_.fd.get(), data, SEEK_HOLE);
      if (hole < 0) return fail_errno("look for a hole");
      TRY(save(page_align_down(static_cast<uint64_t>(data)),
               page_align_up(static_cast<uint64_t>(hole))));
      at = hole;
    }
    TRY(pagemap_.flush());
    return counts_;
  }

 private:
  Result<void> save(uint64_t offset, uint64_t end) {
    progress_.add_total(end - offset);
    while (offset < end) {
      TRY(stop_.check());
      const std::span<uint8_t> buffer = sink_.buffer();
      const uint64_t bytes = std::min<uint64_t>(buffer.size(), end - offset);
      TRY(read(buffer.first(bytes), offset));
      const PageRun run = {offset, static_cast<uint32_t>(bytes / kPageSize)};
      stored_.clear();
      TRY(sink_.store({&run, 1}, stored_));
      for (const StoredRun& part : stored_) TRY(add_stored(part));
      progress_.advance(bytes);
      offset += bytes;
    }
    return {};
  }

  // What lies behind the end of the object reads as zero.
  Result<void> read(std::span<uint8_t> to, uint64_t offset) {
    size_t done = 0;
    while (done < to.size()) {
      const ssize_t got = pread(object_.fd.get(), to.data() + done, to.size() - done,
                                static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno(fmt::format("read at byte {}", offset + done));
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    std::fill(to.begin() + static_cast<ptrdiff_t>(done), to.end(), 0);
    return {};
  }

  Result<void> add_stored(const StoredRun& run) {
    counts_.scanned += run.page_count;
    if (run.page_index == image::kZeroPage) {
      counts_.zero += run.page_count;
      return {};
    }
    (run.page_index == image::kInParentPage ? counts_.unchanged : counts_.written) +=
        run.page_count;
    return pagemap_.add(run);
  }

  const SharedMemoryObject& object_;
  PageSink sink_;
  PagemapWriter pagemap_;
  const StopRequest& stop_;
  Progress& progress_;
  std::vector<StoredRun> stored_;
  PageCounts counts_;
};

}  // namespace

Result<PageCounts> dump_shared_memory(const SharedMemoryTable& table, const ParentImages* parent,
                                      image::CheckpointWriter& writer, const StopRequest& stop,
                                      Progress& progress) {
  PageCounts sum;
  for (const SharedMemoryObject& object : table.objects()) {
    auto content = parent != nullptr ? parent->content(object) : std::nullopt;
    ObjectDump dump(object, content ? &*content : nullptr, writer, stop, progress);
    sum += TRY_IN(dump.run(), fmt::format("save shared memory {} `{}`", object.id, object.name));
  }
  return sum;
}

}  // namespace cryostat::memory
