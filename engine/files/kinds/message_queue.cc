#include "engine/files/kinds/message_queue.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <mqueue.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

namespace {

constexpr uint64_t kMessageQueueMagic = 0x19800202;  // ipc/mqueue.c, in no uapi header

// Of the one line a read gives: "QSIZE:129 NOTIFY:2 SIGNO:0 NOTIFY_PID:8260" (mq_overview(7)).
struct QueueState {
  uint64_t bytes = 0;
  int64_t notified_pid = 0;  // 0: nobody asked to be notified
};

uint64_t field(std::string_view text, std::string_view name) {
  const auto at = text.find(name);
  uint64_t value = 0;
  if (at != std::string_view::npos)
    std::from_chars(text.data() + at + name.size(), text.data() + text.size(), value);
  return value;
}

Result<QueueState> read_state(int queue) {
  std::array<char, 256> text;
  const auto got = pread(queue, text.data(), text.size(), 0);
  if (got < 0) return fail_errno("read the state of a message queue");
  const std::string_view line(text.data(), static_cast<size_t>(got));
  return QueueState{field(line, "QSIZE:"), static_cast<int64_t>(field(line, "NOTIFY_PID:"))};
}

Result<UniqueFd> open_queue(const std::string& name, int flags) {
  UniqueFd fd(mq_open(name.c_str(), flags | O_CLOEXEC));
  if (!fd)
    return tl::unexpected(Error::from_errno(errno, fmt::format("open message queue {}", name))
                              .as(ErrorKind::kMachine));
  return fd;
}

// What is different from what was dumped; empty: nothing.
Result<std::string> difference(int queue, const pb::MessageQueue& image) {
  mq_attr now = {};
  if (mq_getattr(queue, &now) != 0) return fail_errno("mq_getattr");
  const auto state = TRY(read_state(queue));
  const auto differs = [](const char* what, int64_t was, int64_t is) {
    return fmt::format("{} was {}, is {} now", what, was, is);
  };
  if (now.mq_maxmsg != image.max_messages())
    return differs("its length", image.max_messages(), now.mq_maxmsg);
  if (now.mq_msgsize != image.max_message_bytes())
    return differs("its message size", image.max_message_bytes(), now.mq_msgsize);
  if (now.mq_curmsgs != image.messages())
    return differs("its number of messages", image.messages(), now.mq_curmsgs);
  if (state.bytes != image.bytes())
    return differs("its content", static_cast<int64_t>(image.bytes()),
                   static_cast<int64_t>(state.bytes));
  return std::string();
}

}  // namespace

bool MessageQueueKind::matches(const OpenDescription& description) const {
  return description.fs_type == kMessageQueueMagic && S_ISREG(description.st.st_mode) &&
         !description.is_path_only();
}

Result<void> MessageQueueKind::collect(CollectContext&, const OpenDescription& description,
                                       pb::Description& image) const {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorKind::kRefused, fmt::format("POSIX message queue {} {} can't be checkpointed",
                                                 description.link, why));
  };
  const auto slash = description.link.rfind('/');
  if (description.st.st_nlink == 0 || slash == std::string::npos)
    return refuse("(its name is gone)");
  const auto state = TRY(read_state(description.copy.get()));
  if (state.notified_pid != 0) return refuse("with a notification asked for");
  mq_attr attributes = {};
  if (mq_getattr(description.copy.get(), &attributes) != 0) return fail_errno("mq_getattr");
  auto& queue = *image.mutable_message_queue();
  queue.set_name(description.link.substr(slash));
  queue.set_max_messages(attributes.mq_maxmsg);
  queue.set_max_message_bytes(attributes.mq_msgsize);
  queue.set_messages(attributes.mq_curmsgs);
  queue.set_bytes(state.bytes);
  image.set_position(0);
  return {};
}

bool MessageQueueKind::owns(const pb::Description& image) const {
  return image.has_message_queue();
}

void MessageQueueKind::check(CheckContext& context, const pb::Description& image,
                             PlanReport& report) const {
  const auto& queue = image.message_queue();
  const auto subject = fmt::format("message queue {}", queue.name());
  if (!context.first_time(subject)) return;
  const auto opened = open_queue(queue.name(), O_RDONLY | O_NONBLOCK);
  if (!opened) return report.missing(subject, opened.error());
  const auto wrong = difference(opened->get(), queue);
  if (!wrong) return report.missing(subject, wrong.error());
  if (!wrong->empty()) return report.missing(subject, *wrong);
  report.ok(subject, "as it was");
}

Result<UniqueFd> MessageQueueKind::restore(RestoreContext&, const pb::Description& image) const {
  return open_queue(image.message_queue().name(),
                    static_cast<int>(image.flags() & (O_ACCMODE | O_NONBLOCK)));
}

}  // namespace cryostat::files
