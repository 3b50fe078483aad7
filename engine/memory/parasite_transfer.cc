// The transfer in which the target writes its own pages.
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "engine/base/log.h"
#include "engine/image/format.h"
#include "engine/image/page_store_writer.h"
#include "engine/infect/infected_task.h"
#include "engine/memory/page_transfer.h"
#include "engine/memory/transfer_result.h"
#include "proto/wire/parasite_transfer.h"

namespace cryostat::memory {

namespace {

class ParasiteTransfer final : public PageTransfer {
 public:
  ParasiteTransfer(InfectedTask& task, RemoteFd pages, std::unique_ptr<PageTransfer> fallback,
                   image::PageStoreWriter& store)
      : task_(task), pages_(pages), fallback_(std::move(fallback)), store_(store) {}

  const char* name() const override { return "parasite"; }

  Result<void> move(std::span<const PageRun> runs, std::vector<StoredRun>& stored) override {
    if (refused_ || compares_) return fallback_->move(runs, stored);
    auto moved = move_by_parasite(runs, stored);
    if (moved || !is_write_problem(moved.error().errno_value())) return moved;
    // The target may be under limits that the engine is not: RLIMIT_FSIZE, a quota, reserved
    // blocks. What it has written of this batch is written again.
    log::info("the parasite can't write pages ({}): the engine does it", moved.error().message());
    refused_ = true;
    return fallback_->move(runs, stored);
  }

  // The parasite knows nothing of the parent's checksums.
  void compare_with(ParentContent* parent) override {
    compares_ = parent != nullptr;
    fallback_->compare_with(parent);
  }

 private:
  static bool is_write_problem(int error) {
    return error == EFBIG || error == ENOSPC || error == EDQUOT || error == EPERM ||
           error == EACCES || error == EIO || error == ENOMEM || error == EFAULT;
  }

  Result<void> move_by_parasite(std::span<const PageRun> runs, std::vector<StoredRun>& stored) {
    TRY(send(runs));
    TRY(task_.call(wire::ParasiteOp::kWritePages, 0));
    const auto run_count = static_cast<uint32_t>(runs.size());
    const size_t from = wire::transfer_zero_bitmap_offset(run_count);
    buffer_.resize(wire::transfer_data_bytes(run_count, request_.page_count));
    TRY(task_.read_data(from, std::span(buffer_).subspan(from)));
    const auto* bitmap = reinterpret_cast<const uint64_t*>(buffer_.data() + from);
    const uint64_t first = store_.next_index();
    const size_t written = split_runs(runs, bitmap, first, stored);
    TRY(store_.add_written(written));
    return {};
  }

  Result<void> send(std::span<const PageRun> runs) {
    request_ = {};
    request_.fd = pages_.value;
    request_.run_count = static_cast<uint32_t>(runs.size());
    request_.file_offset_bytes = store_.next_offset_bytes();
    buffer_.resize(wire::transfer_zero_bitmap_offset(request_.run_count));
    for (size_t i = 0; i < runs.size(); ++i) {
      const wire::TransferRun run = {runs[i].address, runs[i].page_count};
      std::memcpy(buffer_.data() + wire::transfer_runs_offset() + i * sizeof(run), &run,
                  sizeof(run));
      request_.page_count += runs[i].page_count;
    }
    std::memcpy(buffer_.data(), &request_, sizeof(request_));
    return task_.write_data(0, buffer_);
  }

  InfectedTask& task_;
  RemoteFd pages_;
  std::unique_ptr<PageTransfer> fallback_;
  image::PageStoreWriter& store_;
  wire::TransferRequest request_;
  std::vector<std::byte> buffer_;  // the data part, as far as it is used
  bool refused_ = false;
  bool compares_ = false;
};

}  // namespace

Result<std::unique_ptr<PageTransfer>> make_parasite_transfer(InfectedTask& task, HostPid pid,
                                                             image::PageStoreWriter& store) {
  if (task.data_bytes() < wire::kTransferMaxDataBytes)
    return fail(ErrorKind::kFailed, "the parasite's data part is too small for page transfer");
  auto fallback = TRY(make_vm_readv_transfer(pid, store));
  const RemoteFd pages = TRY_IN(task.send_fd(store.pages_fd()), "hand pages.img to the parasite");
  return std::make_unique<ParasiteTransfer>(task, pages, std::move(fallback), store);
}

}  // namespace cryostat::memory
