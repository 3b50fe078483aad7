#include "engine/files/kinds/unix_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/restore_context.h"
#include "engine/files/unix_socket_state.h"
#include "engine/files/unix_sort.h"
#include "engine/net/sock_diag.h"
#include "engine/net/unix_connection.h"
#include "engine/net/unix_name.h"
#include "engine/net/unix_pair.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::files {

namespace {

// The kernel notes who connects in a socket that nobody has before it is accepted: it is taken for
// whoever has the client now.
Result<void> note_connector(const OpenDescription& client, pb::UnixWaiting& image) {
  const auto status = TRY(procfs::parse_status(TRY(client.task->proc().read("status"))));
  image.mutable_creator()->set_pid(client.task->pid().value);
  image.mutable_creator()->set_uid(status.uid.effective);
  image.mutable_creator()->set_gid(status.gid.effective);
  for (const auto group : status.groups) image.add_creator_groups(group);
  return {};
}

Result<void> collect_waiting(const CollectContext& context, const OpenDescription& description,
                             const net::UnixSocket& socket, pb::UnixListener& image) {
  for (const uint64_t inode : socket.waiting) {
    const auto who = [&](std::string_view what) {
      return refuse_unix(image.socket().type(),
                         fmt::format("{} that has not accepted a connection {}",
                                     net::show_unix_name(socket.name), what));
    };
    const auto* other = inode == 0 ? nullptr : context.unix_sockets.find(inode);
    if (other == nullptr) return who("whose other end is closed already");
    const auto* client = context.with_inode(description.st.st_dev, inode);
    if (client == nullptr) return refuse_outside(image.socket().type(), socket, *other);
    if (client->slots.front().table == kNoTable) return who("whose other end is in flight");
    auto& waiting = *image.add_waiting();
    waiting.set_client_id(client->id);
    TRY(note_connector(*client, waiting));
  }
  return {};
}

}  // namespace

bool UnixListenerKind::matches(const OpenDescription& description) const {
  return S_ISSOCK(description.st.st_mode) && !description.is_path_only() &&
         unix_sort_of(description.copy.get()) == UnixSort::kListener;
}

Result<void> UnixListenerKind::collect(CollectContext& context, const OpenDescription& description,
                                       pb::Description& image) const {
  auto& listener = *image.mutable_unix_listener();
  auto& common = *listener.mutable_socket();
  const int fd = description.copy.get();
  common.set_type(static_cast<uint32_t>(socket_type_of(fd)));
  const auto& socket = *TRY(find_unix_socket(context, description, common.type()));
  common.set_shutdown(socket.shutdown);
  TRY(net::read_unix_name(fd, net::NameFile::kOwn, *common.mutable_name()));
  TRY(net::read_unix_socket(fd, common));
  listener.set_listening(socket.listening);
  listener.set_backlog(socket.backlog);
  return collect_waiting(context, description, socket, listener);
}

bool UnixListenerKind::owns(const pb::Description& image) const {
  return image.has_unix_listener();
}

void UnixListenerKind::check(CheckContext& context, const pb::Description& image,
                             PlanReport& report) const {
  const auto& name = image.unix_listener().socket().name();
  if (!name.path().empty() || context.first_time("UNIX socket " + name.address()))
    net::check_unix_name(name, report);
}

void UnixListenerKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  if (!image.unix_listener().waiting().empty())
    groups.join_object(image.id(), "listening socket", image.id());
}

Result<UniqueFd> open_unix_listener(NameBinder& names, const pb::Description& description,
                                    int backlog) {
  const auto& image = description.unix_listener();
  const auto& common = image.socket();
  UniqueFd fd(socket(AF_UNIX, static_cast<int>(common.type()) | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("create a UNIX socket");
  TRY(names.bind(fd.get(), description.id(), common.name()));
  // Sockets that wait inherit some options.
  TRY(net::apply_unix_socket(fd.get(), common));
  if (image.listening()) TRY(net::listen_as(fd.get(), &common, backlog));
  return fd;
}

Result<UniqueFd> connect_waiting(int listener, const pb::UnixListener& image, int place) {
  const auto& waiting = image.waiting(place);
  pb::UnixSocketPair noted;
  *noted.mutable_creator() = waiting.creator();
  *noted.mutable_creator_groups() = waiting.creator_groups();
  return net::connect_to(listener, static_cast<int>(image.socket().type()), &noted);
}

Result<void> make_unix_listener(RestoreContext& context, uint32_t description) {
  if (context.unix_sockets.contains(description)) return {};
  const auto& image = context.image().description(description).unix_listener();
  const auto& lent = context.inputs().lent_sockets;
  if (const auto known = lent.find(description); known != lent.end()) {
    context.unix_sockets[description].reset(known->second);
    for (const auto& waiting : image.waiting())
      context.unix_sockets[waiting.client_id()].reset(lent.at(waiting.client_id()));
    return {};
  }
  auto fd = TRY(open_unix_listener(context.names(), context.image().description(description),
                                   static_cast<int>(image.backlog())));
  fd = TRY(context.keep(std::move(fd)));
  for (int place = 0; place < image.waiting_size(); ++place)
    context.unix_sockets[image.waiting(place).client_id()] =
        TRY(context.keep(TRY(connect_waiting(fd.get(), image, place))));
  context.unix_sockets[description] = std::move(fd);
  return {};
}

Result<UniqueFd> UnixListenerKind::restore(RestoreContext& context,
                                           const pb::Description& image) const {
  TRY(make_unix_listener(context, image.id()));
  // It stays for those that wait, and for itself: the descriptor given away may move.
  UniqueFd fd(fcntl(context.unix_sockets[image.id()].get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return fail_errno("duplicate a socket");
  TRY(shut_down(fd.get(), image.unix_listener().socket().shutdown()));
  return fd;
}

}  // namespace cryostat::files
