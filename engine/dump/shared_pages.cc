#include "engine/dump/shared_pages.h"

#include "engine/base/log.h"
#include "engine/base/span.h"
#include "engine/dump/task_dump.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/memory/shared_frames.h"

namespace cryostat::dump {

namespace {
// Comparing the content of all pages pays off from here on.
constexpr uint64_t kWorthComparing = 256;
}  // namespace

SharedPages::SharedPages() = default;
SharedPages::SharedPages(SharedPages&&) noexcept = default;
SharedPages::~SharedPages() = default;

Result<SharedPages> SharedPages::find(std::span<TaskDump* const> tasks, Source source,
                                      const Options& options, image::CheckpointWriter& writer) {
  SharedPages pages;
  // Whether a tracker was right can only be told of pages that are looked at.
  if (tasks.size() < 2 || options.increment.verify) return pages;
  const Span span("find shared pages");
  auto frames = std::make_unique<memory::SharedFrames>();
  for (TaskDump* task : tasks) {
    pages.numbers_.emplace(task, pages.numbers_.size());
    TRY(frames->add(source == Source::kCopy ? task->copy() : task->handle(), task->space()));
  }
  TRY(frames->settle());
  if (frames->hidden_pages() >= kWorthComparing && !writer.pages().dedups() &&
      options.transfer != Transfer::kParasite) {
    log::info("{} pages are shared, but not with whom (that takes CAP_SYS_ADMIN): compared",
              frames->hidden_pages());
    writer.pages().enable_dedup();
  }
  pages.frames_ = std::move(frames);
  return pages;
}

memory::TreePages SharedPages::of(const TaskDump& task) {
  const auto number = numbers_.find(&task);
  if (frames_ == nullptr || number == numbers_.end()) return {};
  return {frames_.get(), number->second};
}

}  // namespace cryostat::dump
