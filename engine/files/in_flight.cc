#include "engine/files/in_flight.h"

#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/descriptor_table.h"
#include "engine/files/unix_sort.h"
#include "engine/kernel/kcmp.h"

namespace cryostat::files {

namespace {

bool same_object(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_mode == b.st_mode;
}

Result<bool> same_description(const OpenDescription& a, const OpenDescription& b) {
  const auto order =
      TRY(kernel::kcmp(Tid(a.task->pid().value), Tid(b.task->pid().value), kernel::KcmpType::kFile,
                       static_cast<uint64_t>(a.fd().value), static_cast<uint64_t>(b.fd().value)));
  return order == kernel::KcmpOrder::kEqual;
}

}  // namespace

Result<FilesInFlight> FilesInFlight::find(std::vector<OpenDescription>& descriptions) {
  FilesInFlight found;
  // Grows while it is walked through: a socket in flight may have a queue too.
  for (size_t i = 0; i < descriptions.size(); ++i) {
    if (S_ISSOCK(descriptions[i].st.st_mode) && !descriptions[i].is_path_only())
      TRY_IN(found.look_into(descriptions, i), descriptions[i].label());
  }
  return found;
}

Result<void> FilesInFlight::look_into(std::vector<OpenDescription>& descriptions, size_t socket) {
  const uint32_t id = descriptions[socket].id;
  const auto copy = TRY(descriptions[socket].task->get_fd(descriptions[socket].fd()));
  if (!has_unix_queue(copy.get())) return {};
  if (unix_sort_of(copy.get()) == UnixSort::kDatagram)
    datagram_sockets_[id] = {net::own_unix_name(copy.get()),
                             TRY(net::memory_in_flight(copy.get()))};
  auto messages = net::peek_unix_queue(copy.get(), socket_type_of(copy.get()));
  if (!messages) {
    if (messages.error().kind() != ErrorKind::kRefused) return tl::unexpected(messages.error());
    refusals_.emplace(id, std::move(messages).error());
    return {};
  }
  if (messages->empty()) return {};
  SocketQueue queue;
  for (auto& message : *messages) {
    auto& ids = queue.files.emplace_back();
    for (auto& file : message.files)
      ids.push_back(TRY(identify(descriptions, socket, std::move(file))));
    message.files.clear();
  }
  queue.messages = std::move(*messages);
  queues_.emplace(id, std::move(queue));
  return {};
}

Result<uint32_t> FilesInFlight::identify(std::vector<OpenDescription>& descriptions, size_t socket,
                                         UniqueFd file) {
  if (engine_ == nullptr)
    engine_ = std::make_unique<TaskHandle>(TRY(TaskHandle::open(HostPid(getpid()))));
  auto candidate = TRY(read_descriptor(*engine_, file.get()));
  for (const auto& known : descriptions) {
    if (same_object(known.st, candidate.st) && TRY(same_description(known, candidate)))
      return known.id;
  }
  candidate.id = static_cast<uint32_t>(descriptions.size() + 1);
  candidate.carrier = descriptions[socket].place();
  candidate.carrier_pid = descriptions[socket].holder();
  candidate.held = std::move(file);
  descriptions.push_back(std::move(candidate));
  return descriptions.back().id;
}

const SocketQueue* FilesInFlight::queue(uint32_t description_id) const {
  const auto found = queues_.find(description_id);
  return found == queues_.end() ? nullptr : &found->second;
}

const Error* FilesInFlight::refusal(uint32_t description_id) const {
  const auto found = refusals_.find(description_id);
  return found == refusals_.end() ? nullptr : &found->second;
}

}  // namespace cryostat::files
