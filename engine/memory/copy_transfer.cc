// Transfers in which the engine itself reads the target's memory: vm-readv and forced.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "engine/image/page_store_writer.h"
#include "engine/memory/page_sink.h"
#include "engine/memory/page_transfer.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

uint64_t bytes_of(std::span<const PageRun> runs) {
  uint64_t bytes = 0;
  for (const PageRun& run : runs) bytes += run.page_count * kPageSize;
  return bytes;
}

// Cuts runs into windows of what the sink takes at once; how a window is read differs.
class CopyTransfer : public PageTransfer {
 public:
  explicit CopyTransfer(image::PageStoreWriter& store) : sink_(store) {}

  Result<void> move(std::span<const PageRun> runs, std::vector<StoredRun>& stored) override {
    window_.clear();
    uint32_t room = PageSink::kBufferPages;
    for (PageRun run : runs) {
      while (run.page_count > 0) {
        const uint32_t pages = std::min(run.page_count, room);
        window_.push_back({run.address, pages});
        run.address += pages * kPageSize;
        run.page_count -= pages;
        room -= pages;
        if (room > 0) continue;
        TRY(move_window(stored));
        room = PageSink::kBufferPages;
      }
    }
    return window_.empty() ? Result<void>{} : move_window(stored);
  }

  void compare_with(ParentContent* parent) override { sink_.compare_with(parent); }

 private:
  // Fills the buffer with the pages of `window`; may make it shorter.
  virtual Result<void> read(std::vector<PageRun>& window, std::span<uint8_t> buffer) = 0;

  Result<void> move_window(std::vector<StoredRun>& stored) {
    TRY(read(window_, sink_.buffer()));
    TRY(sink_.store(window_, stored));
    window_.clear();
    return {};
  }

  PageSink sink_;
  std::vector<PageRun> window_;
};

class VmReadvTransfer final : public CopyTransfer {
 public:
  VmReadvTransfer(HostPid pid, image::PageStoreWriter& store) : CopyTransfer(store), pid_(pid) {}
  const char* name() const override { return "vm-readv"; }

 private:
  Result<void> read(std::vector<PageRun>& window, std::span<uint8_t> buffer) override {
    std::array<iovec, PageSink::kBufferPages> remote;
    for (size_t i = 0; i < window.size(); ++i)
      remote[i] = {reinterpret_cast<void*>(window[i].address), window[i].page_count * kPageSize};
    const uint64_t bytes = bytes_of(window);
    const iovec local = {buffer.data(), bytes};
    const ssize_t got = process_vm_readv(pid_.value, &local, 1, remote.data(), window.size(), 0);
    if (got == static_cast<ssize_t>(bytes)) return {};
    const int error = got < 0 ? errno : EFAULT;
    return fail_errno(error, fmt::format("read {} pages at {:x} of pid {}", bytes / kPageSize,
                                         window.front().address, pid_.value));
  }

  HostPid pid_;
};

class ForcedTransfer final : public CopyTransfer {
 public:
  ForcedTransfer(UniqueFd memory, HostPid pid, image::PageStoreWriter& store, Vanished vanished)
      : CopyTransfer(store), memory_(std::move(memory)), pid_(pid), vanished_(vanished) {}
  const char* name() const override { return "forced"; }

 private:
  Result<void> read(std::vector<PageRun>& window, std::span<uint8_t> buffer) override {
    std::vector<PageRun> there;
    uint8_t* to = buffer.data();
    for (const PageRun& run : window) {
      const uint64_t end = run.address + run.page_count * kPageSize;
      for (uint64_t at = run.address; at < end;) {
        const uint64_t bytes = TRY(read_stretch(at, end, to));
        if (bytes > 0) there.push_back({at, static_cast<uint32_t>(bytes / kPageSize)});
        to += bytes;
        at += bytes > 0 ? bytes : kPageSize;  // the page at `at` has vanished
      }
    }
    window = std::move(there);
    return {};
  }

  // Reads whole pages of [at, end) up to one that has vanished; returns their bytes.
  Result<uint64_t> read_stretch(uint64_t at, uint64_t end, uint8_t* to) {
    uint64_t done = 0;
    while (at + done < end) {
      const ssize_t got =
          pread(memory_.get(), to + done, end - at - done, static_cast<off_t>(at + done));
      if (got < 0 && errno == EINTR) continue;
      if (got > 0) {
        done += static_cast<uint64_t>(got);
        continue;
      }
      const int error = got < 0 ? errno : EIO;
      if (vanished_ == Vanished::kSkip) break;
      return fail_errno(error, fmt::format("read page {:x} of pid {}", at + done, pid_.value));
    }
    return page_align_down(done);
  }

  UniqueFd memory_;
  HostPid pid_;
  Vanished vanished_;
};

}  // namespace

Result<std::unique_ptr<PageTransfer>> make_vm_readv_transfer(HostPid pid,
                                                             image::PageStoreWriter& store) {
  return std::make_unique<VmReadvTransfer>(pid, store);
}

Result<std::unique_ptr<PageTransfer>> make_forced_transfer(const TaskHandle& task,
                                                           image::PageStoreWriter& store,
                                                           Vanished vanished) {
  return std::make_unique<ForcedTransfer>(TRY(task.proc().open_file("mem", O_RDONLY)), task.pid(),
                                          store, vanished);
}

}  // namespace cryostat::memory
