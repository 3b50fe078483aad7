#include "engine/restore/page_verifier.h"

#include <algorithm>
#include <csignal>

#include "engine/base/ids.h"
#include "engine/base/span.h"
#include "engine/image/checkpoint_reader.h"

namespace cryostat::restore {

namespace {
// Below this a thread costs more than it saves.
constexpr uint64_t kInlinePages = 512;
// Pages between two looks at the stop request and two reports of progress: 16 MiB.
constexpr uint64_t kBatchPages = 4096;
}  // namespace

PageVerifier::PageVerifier(const image::CheckpointReader& reader, Progress& progress)
    : reader_(reader), progress_(progress) {
  progress_.add_total(reader_.page_count() * kPageSize);
  if (reader_.page_count() <= kInlinePages) {
    verify();
  } else {
    thread_ = std::thread([this] {
      // Signals are for the thread that holds the tracees.
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_BLOCK, &all, nullptr);
      verify();
    });
  }
}

PageVerifier::~PageVerifier() {
  give_up_.set(-1);
  if (thread_.joinable()) thread_.join();
}

void PageVerifier::verify() {
  Span span("verify pages");
  const uint64_t count = reader_.page_count();
  span.add_bytes(count * kPageSize);
  for (uint64_t first = 0; first < count && verdict_.has_value(); first += kBatchPages) {
    const uint64_t batch = std::min(kBatchPages, count - first);
    verdict_ = reader_.verify_pages(first, batch, give_up_);
    progress_.advance(batch * kPageSize);
  }
  finished_.store(true);
  finished_.notify_all();
}

Result<void> PageVerifier::join(const StopRequest& stop) {
  if (stop.requested()) give_up_.set(stop.signal_number());
  if (thread_.joinable()) thread_.join();
  TRY(stop.check());
  return verdict_;
}

}  // namespace cryostat::restore
