// Which pages the tasks of a tree share copy-on-write, so that each is stored once.
#pragma once

#include <map>
#include <memory>
#include <span>

#include "engine/base/error.h"
#include "engine/dump/options.h"
#include "engine/memory/dump_pages.h"

namespace cryostat::memory {
class SharedFrames;
}

namespace cryostat::dump {

class TaskDump;

enum class Source : uint8_t {
  kTask,  // the tasks themselves, which are frozen
  kCopy,  // the copies of their memory, which are open
};

class SharedPages {
 public:
  // Looks at the pages of `tasks`, which are stored in this order; nothing is to be found among
  // fewer than two. Where the kernel does not tell which pages are the same, `writer` compares
  // their content from now on. Precondition: tasks and copies stay as they are until the last page
  // of theirs is stored.
  static Result<SharedPages> find(std::span<TaskDump* const> tasks, Source source,
                                  const Options& options, image::CheckpointWriter& writer);
  SharedPages(SharedPages&&) noexcept;
  SharedPages& operator=(SharedPages&&) = delete;
  ~SharedPages();

  // For the PageSource of `task`; refers to this object. Nothing for a task that is not among them.
  memory::TreePages of(const TaskDump& task);

 private:
  SharedPages();
  std::unique_ptr<memory::SharedFrames> frames_;  // nullptr: nothing is shared
  std::map<const TaskDump*, size_t> numbers_;
};

}  // namespace cryostat::dump
