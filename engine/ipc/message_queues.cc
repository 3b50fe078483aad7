#include "engine/ipc/message_queues.h"

#include <fmt/format.h>
#include <sys/msg.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "engine/ipc/permission.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

namespace cryostat::ipc {

namespace {

Failure failed(const char* doing, int id) {
  return fail_errno(fmt::format("{} System V message queue {}", doing, id));
}

// struct msgbuf: a type, then the text.
class Buffer {
 public:
  explicit Buffer(size_t text_bytes) : words_(1 + (text_bytes + sizeof(long) - 1) / sizeof(long)) {}
  void* data() { return words_.data(); }
  long& type() { return words_[0]; }
  char* text() { return reinterpret_cast<char*>(&words_[1]); }

 private:
  std::vector<long> words_;
};

Result<void> copy_messages(int id, const msqid_ds& state, pb::SysvMessageQueue& queue) {
  // No message is longer than all of them.
  Buffer buffer(state.__msg_cbytes);
  for (msgqnum_t i = 0; i < state.msg_qnum; ++i) {
    const ssize_t got = msgrcv(id, buffer.data(), state.__msg_cbytes, static_cast<long>(i),
                               MSG_COPY | IPC_NOWAIT | MSG_NOERROR);
    if (got < 0) return failed("copy a message of", id);
    auto& message = *queue.add_messages();
    message.set_type(buffer.type());
    message.set_text(std::string(buffer.text(), static_cast<size_t>(got)));
  }
  return {};
}

// A queue may hold more than its limit allows now.
Result<void> set_state(const pb::SysvMessageQueue& queue, uint64_t limit_bytes) {
  msqid_ds state = {};
  fill_in(queue.permission(), state.msg_perm);
  state.msg_qbytes = limit_bytes;
  if (msgctl(queue.id(), IPC_SET, &state) != 0) return failed("set the state of", queue.id());
  return {};
}

Result<void> fill(const pb::SysvMessageQueue& queue) {
  uint64_t sum = 0;
  for (const auto& message : queue.messages()) sum += message.text().size();
  if (sum > queue.limit_bytes()) TRY(set_state(queue, sum));
  for (const auto& message : queue.messages()) {
    Buffer buffer(message.text().size());
    buffer.type() = message.type();
    std::memcpy(buffer.text(), message.text().data(), message.text().size());
    if (msgsnd(queue.id(), buffer.data(), message.text().size(), IPC_NOWAIT) != 0)
      return failed("fill", queue.id());
  }
  return set_state(queue, queue.limit_bytes());
}

}  // namespace

Result<void> collect_message_queues(pb::IpcNamespace& image) {
  for (const int id : TRY(list_objects("msg"))) {
    msqid_ds state = {};
    if (msgctl(id, IPC_STAT, &state) != 0) return failed("look at", id);
    auto& queue = *image.add_message_queues();
    queue.set_id(id);
    describe(state.msg_perm, *queue.mutable_permission());
    queue.set_limit_bytes(state.msg_qbytes);
    TRY(copy_messages(id, state, queue));
  }
  return {};
}

Result<void> create_message_queues(const pb::IpcNamespace& image) {
  for (const pb::SysvMessageQueue& queue : image.message_queues()) {
    const auto& permission = queue.permission();
    TRY(create_object("msg", queue.id(), permission, [&] {
      return msgget(permission.key(),
                    static_cast<int>(permission.mode() & 0777) | IPC_CREAT | IPC_EXCL);
    }));
    TRY(fill(queue));
  }
  return {};
}

}  // namespace cryostat::ipc
