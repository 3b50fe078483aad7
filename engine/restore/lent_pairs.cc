#include "engine/restore/lent_pairs.h"

#include <algorithm>

#include "engine/files/description_groups.h"
#include "engine/kernel/pidfd.h"
#include "engine/net/unix_connection.h"
#include "engine/net/unix_pair.h"

namespace cryostat::restore {

std::vector<LentPair> plan_lent_pairs(const image::CheckpointImages& images,
                                      const files::DescriptionOwners& owners,
                                      std::span<const SharingRole> roles) {
  std::vector<LentPair> pairs;
  const auto& tasks = images.tasks.tasks;
  for (const pb::Description& description : images.files.descriptions) {
    const auto& socket = description.unix_socket_pair();
    if (!description.has_unix_socket_pair() || socket.pair_id() != description.id() ||
        socket.peer() == pb::UnixSocketPair::WAITING)
      continue;
    const auto* other =
        socket.peer() == pb::UnixSocketPair::OPEN
            ? &images.files.description(socket.peer_description_id()).unix_socket_pair()
            : nullptr;
    if (net::is_connection(socket, other)) continue;  // lent_connections.h
    const auto maker = std::ranges::find_if(tasks, [&](const image::TaskImage& task) {
      return task.task.pid() == socket.creator().pid() && !task.task.has_zombie();
    });
    if (maker == tasks.end()) continue;
    const auto index = static_cast<size_t>(maker - tasks.begin());
    const uint32_t owner = owners.owner(description.id());
    if (owner == 0 || owner == maker->task.descriptor_table_id() ||
        roles[index].follows(roles[index].table))
      continue;
    pairs.push_back({description.id(), index, owner});
  }
  return pairs;
}

Result<void> make_lent_pairs(const image::CheckpointImages& images, std::span<const LentPair> pairs,
                             size_t task, ServiceFds& service_fds, std::span<int> numbers) {
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].maker != task) continue;
    auto [first, second] =
        TRY(net::make_unix_pair(images.files.description(pairs[i].pair_id).unix_socket_pair()));
    numbers[2 * i] = TRY(service_fds.adopt(std::move(first)));
    numbers[2 * i + 1] = TRY(service_fds.adopt(std::move(second)));
  }
  return {};
}

Result<void> borrow_pairs(const image::CheckpointImages& images, std::span<const LentPair> pairs,
                          uint32_t table, ServiceFds& service_fds, std::span<const int> numbers,
                          files::RestoreInputs& inputs) {
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].to_table != table) continue;
    const pid_t maker = images.tasks.tasks[pairs[i].maker].task.pid();
    const UniqueFd process = TRY(kernel::pidfd_open(HostPid(maker)));
    const auto take = [&](int number) -> Result<int> {
      return service_fds.adopt(TRY(kernel::pidfd_getfd(process.get(), RemoteFd(number))));
    };
    const int first = TRY(take(numbers[2 * i]));
    inputs.lent_pairs[pairs[i].pair_id] = {first, TRY(take(numbers[2 * i + 1]))};
  }
  return {};
}

void give_up_lent_pairs(std::span<const LentPair> pairs, size_t task, ServiceFds& service_fds,
                        std::span<const int> numbers) {
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].maker != task) continue;
    service_fds.drop(numbers[2 * i]);
    service_fds.drop(numbers[2 * i + 1]);
  }
}

}  // namespace cryostat::restore
