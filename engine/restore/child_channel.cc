#include "engine/restore/child_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

namespace cryostat::restore {
namespace {

// Bound of one message; an Error's text is cut to fit.
constexpr size_t kMaxMessageBytes = 64 * 1024;

enum class MessageType : uint32_t { kGo = 1, kReady = 2, kError = 3 };

class Writer {
 public:
  explicit Writer(MessageType type) { number(static_cast<uint32_t>(type)); }
  void number(uint32_t value) {
    const auto* raw = reinterpret_cast<const char*>(&value);
    bytes_.insert(bytes_.end(), raw, raw + sizeof(value));
  }
  void text(std::string_view value) {
    const size_t room = kMaxMessageBytes - std::min(kMaxMessageBytes, bytes_.size() + 8);
    value = value.substr(0, room);
    number(static_cast<uint32_t>(value.size()));
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  const std::vector<char>& bytes() const { return bytes_; }

 private:
  std::vector<char> bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  uint32_t number() {
    uint32_t value = 0;
    if (bytes_.size() < sizeof(value)) return 0;
    std::memcpy(&value, bytes_.data(), sizeof(value));
    bytes_.remove_prefix(sizeof(value));
    return value;
  }
  std::string text() {
    const size_t size = std::min<size_t>(number(), bytes_.size());
    std::string value(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return value;
  }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

Result<void> send_bytes(int fd, const std::vector<char>& bytes) {
  for (;;) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) return {};
    if (sent < 0 && errno == EINTR) continue;
    return fail_errno("send a message between cr-restore and the task it creates");
  }
}

// An Error travels as its finished message: kind, errno text and contexts are in it already. (The
// setters change the object they are called on; assigning their result to it would move it onto
// itself.)
Error read_error(Reader& reader) {
  const auto kind = static_cast<ErrorKind>(reader.number());
  Error error(kind, reader.text());
  std::string hint = reader.text();
  if (!hint.empty()) std::move(error).with_hint(std::move(hint));
  const uint32_t lines = std::min<uint32_t>(reader.number(), 1000);
  for (uint32_t i = 0; i < lines; ++i) std::move(error).with_line(reader.text());
  return error;
}

}  // namespace

Result<std::pair<ChildChannel, ChildChannel>> ChildChannel::create() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return fail_errno("create a socket pair for the new task");
  }
  return std::pair(ChildChannel(UniqueFd(fds[0])), ChildChannel(UniqueFd(fds[1])));
}

Result<ChildChannel> ChildChannel::duplicate() const {
  UniqueFd copy(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail_errno("duplicate the channel to cr-restore");
  return ChildChannel(std::move(copy));
}

Result<void> ChildChannel::send_go() { return send_bytes(fd(), Writer(MessageType::kGo).bytes()); }

Result<std::optional<LaunchReport>> ChildChannel::receive(int timeout_ms) {
  pollfd poll_fd{fd(), POLLIN, 0};
  const int ready = poll(&poll_fd, 1, timeout_ms);
  if (ready < 0 && errno != EINTR) return fail_errno("wait for the new task");
  if (ready <= 0) return std::nullopt;
  std::string buffer(kMaxMessageBytes, '\0');
  const ssize_t size = recv(fd(), buffer.data(), buffer.size(), 0);
  if (size < 0) return fail_errno("read from the new task");
  if (size == 0) return fail(ErrorKind::kFailed, kEndedWithoutAWord);
  Reader reader(std::string_view(buffer.data(), static_cast<size_t>(size)));
  const auto type = static_cast<MessageType>(reader.number());
  if (type == MessageType::kError) return tl::unexpected(read_error(reader));
  LaunchReport report;
  if (type != MessageType::kReady || reader.rest().size() != sizeof(report)) {
    return fail(ErrorKind::kFailed, "the new task sent a message that makes no sense");
  }
  std::memcpy(&report, reader.rest().data(), sizeof(report));
  return report;
}

Result<void> ChildChannel::wait_go() {
  char message[16];
  const ssize_t size = recv(fd(), message, sizeof(message), 0);
  if (size < 0) return fail_errno("wait for cr-restore");
  if (size == 0) return fail(ErrorKind::kFailed, "cr-restore has gone");
  return {};
}

void ChildChannel::send_error(const Error& error) {
  Writer writer(MessageType::kError);
  writer.number(static_cast<uint32_t>(error.kind()));
  writer.text(error.message());
  writer.text(error.hint());
  writer.number(static_cast<uint32_t>(error.lines().size()));
  for (const std::string& line : error.lines()) writer.text(line);
  // The parent may be gone; then there is nobody to tell.
  (void)send_bytes(fd(), writer.bytes());
}

Result<void> ChildChannel::send_ready(const LaunchReport& report) {
  Writer writer(MessageType::kReady);
  std::vector<char> bytes = writer.bytes();
  const auto* raw = reinterpret_cast<const char*>(&report);
  bytes.insert(bytes.end(), raw, raw + sizeof(report));
  return send_bytes(fd(), bytes);
}

}  // namespace cryostat::restore
