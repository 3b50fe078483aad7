#include "engine/image/files_image.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "engine/image/checkpoint_reader.h"

namespace cryostat::image {

namespace {

// sysctl fs.nr_open can't be raised past this on 64-bit kernels.
constexpr int32_t kMaxFd = 0x7fffffc0 / 8;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 63;
constexpr uint64_t kMaxPipeBytes = uint64_t{1} << 31;
// open(2) acts on these and forgets them: no open file has them, and a restore must not do what
// they ask for (F_GETFL; do_dentry_open() in fs/open.c).
constexpr uint32_t kNeverSaved = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY;

std::string wrong_with(const pb::Description& description) {
  if (description.kind_case() == pb::Description::KIND_NOT_SET)
    return "of no kind this build knows";
  if ((description.flags() & kNeverSaved) != 0)
    return fmt::format("flags {:#o} of an open that creates or empties", description.flags());
  if (description.owner_signal() > 64)
    return fmt::format("owner signal {}", description.owner_signal());
  if (description.has_pipe()) {
    const pb::Pipe& pipe = description.pipe();
    uint64_t held_bytes = 0;
    for (const auto& data : pipe.data()) held_bytes += data.size();
    if (pipe.pipe_id() == 0 || pipe.capacity_bytes() > kMaxPipeBytes || held_bytes > kMaxPipeBytes)
      return "a pipe with bad sizes";
  }
  return "";
}

Result<void> add_description(FilesImage& image, const RecordReader& records,
                             const RecordView& record) {
  image.descriptions.push_back(TRY(records.parse<pb::Description>(record)));
  const auto& description = image.descriptions.back();
  if (description.id() != image.descriptions.size())
    return records.fail_at(record, "ids are not in order");
  if (const auto wrong = wrong_with(description); !wrong.empty())
    return records.fail_at(record, wrong);
  return {};
}

Result<void> add_ghost(FilesImage& image, const RecordReader& records, const RecordView& record) {
  auto ghost = TRY(records.parse<pb::GhostData>(record));
  const uint64_t size = ghost.size_bytes();
  if (ghost.ghost_id() == 0 || size >= kMaxFileBytes || ghost.chunk_offset_bytes() > size ||
      ghost.chunk().size() > size - ghost.chunk_offset_bytes())
    return records.fail_at(record, "a chunk outside of its file");
  if (!image.ghosts.empty()) {
    const auto& last = image.ghosts.back();
    if (ghost.ghost_id() < last.ghost_id() ||
        (ghost.ghost_id() == last.ghost_id() &&
         (ghost.chunk_offset_bytes() < last.chunk_offset_bytes() + last.chunk().size() ||
          size != last.size_bytes())))
      return records.fail_at(record, "chunks are not in order");
  }
  image.ghosts.push_back(std::move(ghost));
  return {};
}

Result<void> add_table(FilesImage& image, const RecordReader& records, const RecordView& record) {
  auto table = TRY(records.parse<pb::DescriptorTable>(record));
  if (table.id() == 0) return records.fail_at(record, "id 0");
  std::set<int32_t> numbers;
  for (const auto& entry : table.entries()) {
    if (entry.fd() < 0 || entry.fd() > kMaxFd || !numbers.insert(entry.fd()).second)
      return records.fail_at(record,
                             fmt::format("descriptor {} is out of range or twice", entry.fd()));
    if (entry.description_id() == 0 || entry.description_id() > image.descriptions.size())
      return records.fail_at(record, fmt::format("descriptor {} names no description", entry.fd()));
  }
  if (const uint32_t id = table.id(); !image.add_table(std::move(table)))
    return records.fail_at(record, fmt::format("id {} twice", id));
  return {};
}

bool is_there(const FilesImage& image, uint32_t id) {
  return id != 0 && id <= image.descriptions.size();
}

// The listening socket names it once.
bool is_awaited_by(const FilesImage& image, uint32_t id, uint32_t listener) {
  if (!is_there(image, listener)) return false;
  const auto& waiting = image.description(listener).unix_listener().waiting();
  return std::count_if(waiting.begin(), waiting.end(),
                       [id](const auto& connection) { return connection.client_id() == id; }) == 1;
}

bool is_listener(const FilesImage& image, uint32_t id, const pb::UnixListener& listener) {
  return std::all_of(
      listener.waiting().begin(), listener.waiting().end(), [&](const auto& waiting) {
        if (!is_there(image, waiting.client_id())) return false;
        const auto& client = image.description(waiting.client_id()).unix_socket_pair();
        return client.peer() == pb::UnixSocketPair::WAITING && client.peer_description_id() == id;
      });
}

bool is_datagram_socket(const FilesImage& image, const pb::UnixSocketPair& socket) {
  for (const auto& message : socket.queue()) {
    if (const uint32_t sender = message.sender_description_id();
        sender != 0 && (!is_there(image, sender) || !image.description(sender).has_unix_datagram()))
      return false;
    for (const auto file : message.description_ids())
      if (!is_there(image, file)) return false;
  }
  const uint32_t peer = socket.peer_description_id();
  return socket.peer() != pb::UnixSocketPair::OPEN ||
         (is_there(image, peer) && image.description(peer).has_unix_datagram());
}

// Two ends name each other; a lone one is a pair of its own.
bool is_end_of_pair(const FilesImage& image, uint32_t id, const pb::UnixSocketPair& socket) {
  for (const auto& message : socket.queue())
    for (const auto file : message.description_ids())
      if (file == 0 || file > image.descriptions.size()) return false;
  const uint32_t peer_id = socket.peer_description_id();
  if (socket.peer() == pb::UnixSocketPair::WAITING) return is_awaited_by(image, id, peer_id);
  if (socket.peer() != pb::UnixSocketPair::OPEN) return peer_id == 0 && socket.pair_id() == id;
  if (peer_id == 0 || peer_id > image.descriptions.size() || peer_id == id) return false;
  const auto& peer = image.description(peer_id).unix_socket_pair();
  return peer.peer() == pb::UnixSocketPair::OPEN && peer.peer_description_id() == id &&
         peer.type() == socket.type() && peer.pair_id() == socket.pair_id() &&
         socket.pair_id() == std::min(id, peer_id);
}

Result<void> check_references(const FilesImage& image, const std::string& path) {
  std::set<uint32_t> ghosts;
  for (const auto& ghost : image.ghosts) ghosts.insert(ghost.ghost_id());
  for (const auto& description : image.descriptions) {
    const auto dangling = [&](std::string_view what) {
      return fail(ErrorKind::kImages, fmt::format("{}: description {}: {} that is not there", path,
                                                  description.id(), what));
    };
    if (description.has_regular() && description.regular().ghost_id() != 0 &&
        !ghosts.contains(description.regular().ghost_id()))
      return dangling("names a deleted file's content");
    const auto& socket = description.unix_socket_pair();
    if (description.has_unix_socket_pair() && !is_end_of_pair(image, description.id(), socket))
      return dangling("is connected to a socket");
    if ((description.has_unix_listener() &&
         !is_listener(image, description.id(), description.unix_listener())) ||
        (description.has_unix_datagram() &&
         !is_datagram_socket(image, description.unix_datagram())))
      return dangling("is connected to a socket");
    for (const auto& watch : description.epoll().watches())
      if (watch.description_id() == 0 || watch.description_id() > image.descriptions.size())
        return dangling("watches a description");
  }
  return {};
}

}  // namespace

const pb::DescriptorTable* FilesImage::table(uint32_t id) const {
  const auto place = places_.find(id);
  return place == places_.end() ? nullptr : &tables[place->second];
}

bool FilesImage::add_table(pb::DescriptorTable table) {
  if (!places_.emplace(table.id(), tables.size()).second) return false;
  tables.push_back(std::move(table));
  return true;
}

Result<FilesImage> load_files(const CheckpointReader& reader) {
  auto records = TRY(reader.records(FileType::kFiles));
  FilesImage image;
  while (const auto record = TRY(records.next())) {
    if (record->is<pb::Description>()) {
      TRY(add_description(image, records, *record));
    } else if (record->is<pb::GhostData>()) {
      TRY(add_ghost(image, records, *record));
    } else {
      TRY(add_table(image, records, *record));
    }
  }
  TRY(check_references(image, records.path()));
  return image;
}

}  // namespace cryostat::image
