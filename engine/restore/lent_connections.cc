#include "engine/restore/lent_connections.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "engine/files/description_groups.h"
#include "engine/files/kinds/unix_listener.h"
#include "engine/files/name_binder.h"
#include "engine/kernel/pidfd.h"
#include "engine/net/unix_address.h"
#include "engine/net/unix_connection.h"

namespace cryostat::restore {

namespace {

using Sort = ConnectionStep::Sort;

class Planner {
 public:
  Planner(const image::CheckpointImages& images, const files::DescriptionOwners& owners,
          std::span<const SharingRole> roles)
      : images_(images), owners_(owners), roles_(roles) {
    const auto& tasks = images.tasks.tasks;
    for (size_t i = 0; i < tasks.size(); ++i) {
      if (tasks[i].task.has_zombie() || roles[i].follows(roles[i].table)) continue;
      by_pid_.emplace(tasks[i].task.pid(), i);
      by_table_.emplace(tasks[i].task.descriptor_table_id(), i);
    }
  }

  LentConnections plan() {
    for (const auto& description : images_.files.descriptions) add_connection(description);
    for (auto& [key, group] : groups_) finish_group(group);
    for (const auto& description : images_.files.descriptions) add_listener(description);
    return std::move(plan_);
  }

 private:
  // Connections that one temporary listening socket serves.
  struct Group {
    size_t listener_task = 0;
    std::map<size_t, std::vector<uint32_t>> connections;  // by who connects
  };
  // Name, type, who listens as whom: task, pid and user.
  using Key = std::tuple<std::string, int, size_t, int32_t, uint32_t, uint32_t>;

  // The opener of a description; nothing when no live task has it.
  std::optional<size_t> opener(uint32_t description) const {
    const auto task = by_table_.find(owners_.owner(description));
    if (task == by_table_.end()) return std::nullopt;
    return task->second;
  }
  size_t maker(const pb::SocketCredentials& creator, size_t otherwise) const {
    const auto task = by_pid_.find(creator.pid());
    return task == by_pid_.end() ? otherwise : task->second;
  }

  void add_connection(const pb::Description& description);
  void finish_group(Group& group);
  void add_listener(const pb::Description& description);

  const image::CheckpointImages& images_;
  const files::DescriptionOwners& owners_;
  std::span<const SharingRole> roles_;
  std::map<int32_t, size_t> by_pid_;
  std::map<uint32_t, size_t> by_table_;
  std::map<Key, Group> groups_;
  LentConnections plan_;
};

net::ConnectionEnds ends_of(const image::FilesImage& files, uint32_t description) {
  const auto& socket = files.description(description).unix_socket_pair();
  const bool open = socket.peer() == pb::UnixSocketPair::OPEN;
  return net::ConnectionEnds::of(
      socket, open ? &files.description(socket.peer_description_id()).unix_socket_pair() : nullptr);
}

void Planner::add_connection(const pb::Description& description) {
  const auto& socket = description.unix_socket_pair();
  if (!description.has_unix_socket_pair() || socket.pair_id() != description.id() ||
      (socket.peer() != pb::UnixSocketPair::OPEN && socket.peer() != pb::UnixSocketPair::CLOSED))
    return;
  const auto ends = ends_of(images_.files, description.id());
  const bool open = ends.accepted != nullptr && ends.client != nullptr;
  if (!net::is_connection(socket, !open                      ? nullptr
                                  : ends.accepted == &socket ? ends.client
                                                             : ends.accepted))
    return;
  const auto owner = opener(description.id());
  if (!owner) return;
  static const pb::SocketCredentials kNobody;
  const auto& listener = ends.client != nullptr ? ends.client->creator() : kNobody;
  const auto& connector = ends.accepted != nullptr ? ends.accepted->creator() : kNobody;
  const size_t listens = maker(listener, *owner), connects = maker(connector, *owner);
  if (listens == *owner && connects == *owner && !net::is_abstract(ends.name())) return;
  auto& group = groups_[Key(ends.name(), ends.type(), listens, listener.pid(), listener.uid(),
                            listener.gid())];
  group.listener_task = listens;
  group.connections[connects].push_back(description.id());
}

void Planner::finish_group(Group& group) {
  const size_t listener = plan_.slots++;
  // One that has a client end tells most.
  uint32_t model = 0;
  for (const auto& [task, connections] : group.connections)
    for (const uint32_t id : connections)
      if (model == 0 || ends_of(images_.files, model).client == nullptr) model = id;
  plan_.steps.push_back(
      {Sort::kListenFor, group.listener_task, listener, group.listener_task, model, {}});
  for (auto& [task, connections] : group.connections) {
    for (const uint32_t id : connections) {
      plan_.sockets.push_back({plan_.slots, task, owners_.owner(id), id, true});
      plan_.slots += 2;
    }
    plan_.steps.push_back(
        {Sort::kConnect, task, listener, group.listener_task, model, std::move(connections)});
  }
  plan_.steps.push_back(
      {Sort::kCloseAgain, group.listener_task, listener, group.listener_task, model, {}});
}

void Planner::add_listener(const pb::Description& description) {
  const auto owner = opener(description.id());
  if (!description.has_unix_listener() || !description.unix_listener().listening() || !owner)
    return;
  const auto& image = description.unix_listener();
  const size_t listens = maker(image.socket().creator(), *owner);
  const auto connects = [&](const pb::UnixWaiting& waiting) {
    return maker(waiting.creator(), *owner);
  };
  if (listens == *owner &&
      std::ranges::all_of(image.waiting(), [&](const auto& w) { return connects(w) == *owner; }))
    return;
  const size_t slot = plan_.slots++;
  const auto step = [&](Sort sort, size_t task) {
    plan_.steps.push_back({sort, task, slot, listens, description.id(), {}});
  };
  const uint32_t table = owners_.owner(description.id());
  plan_.sockets.push_back({slot, listens, table, description.id(), false});
  step(Sort::kListen, listens);
  for (int place = 0; place < image.waiting_size(); ++place) {
    const size_t task = connects(image.waiting(place));
    if (plan_.steps.back().sort != Sort::kWait || plan_.steps.back().task != task)
      step(Sort::kWait, task);
    plan_.steps.back().connections.push_back(static_cast<uint32_t>(place));
    plan_.sockets.push_back({plan_.slots++, task, table, image.waiting(place).client_id(), false});
  }
  step(Sort::kListening, listens);
}

// What one task does in its steps.
class Maker {
 public:
  Maker(const image::CheckpointImages& images, const LentConnections& plan, std::string room,
        ServiceFds& service_fds, std::span<int> words)
      : images_(images),
        service_fds_(service_fds),
        words_(words),
        // Nothing of the target's is at its number yet.
        names_(std::move(room), [](UniqueFd fd) -> Result<UniqueFd> { return fd; }) {
    for (const auto& socket : plan.sockets) slots_.emplace(socket.description, socket.slot);
  }

  Result<void> run(const ConnectionStep& step) {
    switch (step.sort) {
      case Sort::kListenFor:
        return keep(step.listener_slot,
                    net::make_listener_for(ends_of(images_.files, step.description),
                                           *TRY(names_.hidden())));
      case Sort::kConnect:
        return connect(step);
      case Sort::kCloseAgain:
        service_fds_.drop(words_[step.listener_slot]);
        return {};
      case Sort::kListen:
        return keep(step.listener_slot,
                    files::open_unix_listener(names_, images_.files.description(step.description),
                                              kLongBacklog));
      case Sort::kWait:
        return wait(step);
      case Sort::kListening:
        break;
    }
    const auto& listener = images_.files.description(step.description).unix_listener();
    return net::listen_as(words_[step.listener_slot], &listener.socket(),
                          static_cast<int>(listener.backlog()));
  }

 private:
  static constexpr int kLongBacklog = 1 << 16;

  Result<void> keep(size_t slot, Result<UniqueFd> fd) {
    words_[slot] = TRY(service_fds_.adopt(TRY(std::move(fd))));
    return {};
  }

  // The listening socket of a step, from whoever has it.
  Result<UniqueFd> listener_of(const ConnectionStep& step) const {
    const pid_t pid = images_.tasks.tasks[step.listener_task].task.pid();
    const UniqueFd process = TRY(kernel::pidfd_open(HostPid(pid)));
    return kernel::pidfd_getfd(process.get(), RemoteFd(words_[step.listener_slot]));
  }

  Result<void> connect(const ConnectionStep& step) {
    const UniqueFd listener = TRY(listener_of(step));
    for (const uint32_t id : step.connections) {
      auto [accepted, client] =
          TRY(net::connect_through(listener.get(), ends_of(images_.files, id)));
      const size_t slot = slots_.at(id);
      TRY(keep(slot, std::move(accepted)));
      TRY(keep(slot + 1, std::move(client)));
    }
    return {};
  }

  Result<void> wait(const ConnectionStep& step) {
    const UniqueFd listener = TRY(listener_of(step));
    const auto& image = images_.files.description(step.description).unix_listener();
    for (const uint32_t place : step.connections)
      TRY(keep(slots_.at(image.waiting(static_cast<int>(place)).client_id()),
               files::connect_waiting(listener.get(), image, static_cast<int>(place))));
    return {};
  }

  const image::CheckpointImages& images_;
  ServiceFds& service_fds_;
  std::span<int> words_;
  files::NameBinder names_;
  std::map<uint32_t, size_t> slots_;
};

uint32_t& done_word(const LentConnections& plan, std::span<int> words, size_t step) {
  return reinterpret_cast<uint32_t&>(words[plan.slots + step]);
}

}  // namespace

void LentConnections::prepare(std::span<int> words) const {
  std::ranges::fill(words.subspan(slots, steps.size()), 0);
}

LentConnections plan_lent_connections(const image::CheckpointImages& images,
                                      const files::DescriptionOwners& owners,
                                      std::span<const SharingRole> roles) {
  return Planner(images, owners, roles).plan();
}

Result<void> make_lent_connections(const image::CheckpointImages& images,
                                   const LentConnections& plan, const SharingRole& role,
                                   const Rendezvous& rendezvous, const std::string& room,
                                   ServiceFds& service_fds, std::span<int> words) {
  std::optional<Maker> maker;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (plan.steps[i].task != role.task) continue;
    if (i > 0) rendezvous.await(done_word(plan, words, i - 1), role.turn);
    if (!maker) maker.emplace(images, plan, room, service_fds, words);
    TRY(maker->run(plan.steps[i]));
    Rendezvous::signal(done_word(plan, words, i));
  }
  return {};
}

Result<void> borrow_connections(const image::CheckpointImages& images, const LentConnections& plan,
                                uint32_t table, ServiceFds& service_fds, std::span<const int> words,
                                files::RestoreInputs& inputs) {
  for (const auto& socket : plan.sockets) {
    if (socket.to_table != table) continue;
    const pid_t maker = images.tasks.tasks[socket.maker].task.pid();
    const UniqueFd process = TRY(kernel::pidfd_open(HostPid(maker)));
    const auto take = [&](size_t slot) -> Result<int> {
      return service_fds.adopt(TRY(kernel::pidfd_getfd(process.get(), RemoteFd(words[slot]))));
    };
    const int first = TRY(take(socket.slot));
    if (socket.both_ends) {
      inputs.lent_pairs[socket.description] = {first, TRY(take(socket.slot + 1))};
    } else {
      inputs.lent_sockets[socket.description] = first;
    }
  }
  return {};
}

void give_up_connections(const LentConnections& plan, size_t task, ServiceFds& service_fds,
                         std::span<const int> words) {
  for (const auto& socket : plan.sockets) {
    if (socket.maker != task) continue;
    service_fds.drop(words[socket.slot]);
    if (socket.both_ends) service_fds.drop(words[socket.slot + 1]);
  }
}

}  // namespace cryostat::restore
