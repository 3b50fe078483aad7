#include "engine/ipc/namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "engine/ipc/message_queues.h"
#include "engine/ipc/namespace_scope.h"
#include "engine/ipc/segments.h"
#include "engine/ipc/semaphores.h"

namespace cryostat::ipc {

namespace {

// In an order in which each can be set when the ones before are.
constexpr std::array kSettings = {
    "kernel/shmmax",
    "kernel/shmall",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "fs/mqueue/queues_max",
    "fs/mqueue/msg_max",
    "fs/mqueue/msgsize_max",
    "fs/mqueue/msg_default",
    "fs/mqueue/msgsize_default",
};

std::string read_setting(const std::string& path) {
  std::ifstream file("/proc/sys/" + path);
  std::string value;
  std::getline(file, value);
  return value;
}

Result<std::string> namespace_of(const TaskHandle& task) { return task.proc().read_link("ns/ipc"); }

// The queues of mq_overview(7) are files of a file system that each namespace has one of.
Result<bool> has_posix_queues() {
  const UniqueFd context(fsopen("mqueue", FSOPEN_CLOEXEC));
  if (!context) {
    if (errno == ENODEV) return false;
    return fail_errno("open the file system of message queues");
  }
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return fail_errno("create the file system of message queues");
  const UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  if (!mount) return fail_errno("mount the file system of message queues");
  std::error_code error;
  const auto entries =
      std::filesystem::directory_iterator(fmt::format("/proc/self/fd/{}/", mount.get()), error);
  if (error) return fail_errno(error.value(), "list message queues");
  return entries != std::filesystem::directory_iterator();
}

Result<void> collect_objects(memory::SharedMemoryTable& memory, pb::IpcNamespace& image) {
  for (const char* path : kSettings) {
    const std::string value = read_setting(path);
    if (value.empty()) continue;
    image.add_settings()->set_path(path);
    image.mutable_settings(image.settings_size() - 1)->set_value(value);
  }
  if (TRY(has_posix_queues()))
    return fail(ErrorKind::kRefused,
                "the POSIX message queues of its IPC namespace can't be checkpointed yet");
  TRY(collect_segments(memory, image));
  TRY(collect_semaphores(image));
  return collect_message_queues(image);
}

bool is_known(const std::string& path) {
  return std::find(kSettings.begin(), kSettings.end(), path) != kSettings.end();
}

}  // namespace

Result<bool> is_of_target(const TaskHandle& root) {
  const ProcDir self = TRY(ProcDir::open("/proc/thread-self"));
  return TRY(self.read_link("ns/ipc")) != TRY(namespace_of(root));
}

Result<void> check_members(std::span<const TaskHandle* const> tasks, Refusals& refusals) {
  const std::string of_root = TRY(namespace_of(*tasks.front()));
  for (const TaskHandle* task : tasks)
    if (TRY(namespace_of(*task)) != of_root)
      refusals.add(task->pid(), "",
                   fmt::format("lives in another IPC namespace than the root of the target, {}",
                               tasks.front()->pid().value));
  return {};
}

Result<void> collect_namespace(const TaskHandle& root, memory::SharedMemoryTable& memory,
                               Refusals& refusals, pb::IpcNamespace& image) {
  const NamespaceScope scope = TRY(NamespaceScope::enter(root.proc().fd()));
  const auto done = collect_objects(memory, image);
  if (done || done.error().kind() != ErrorKind::kRefused) return done;
  refusals.add(root.pid(), "", done.error().message());
  return {};
}

void check_namespace(const pb::IpcNamespace& image, PlanReport& report) {
  constexpr const char* kSubject = "IPC namespace";
  for (const char* sort : {"shm", "sem", "msg"})
    if (access(fmt::format("/proc/sys/kernel/{}_next_id", sort).c_str(), W_OK) != 0)
      return report.missing(kSubject,
                            fmt::format("numbers of System V objects can't be chosen: no right to "
                                        "write kernel.{}_next_id, or a kernel without it",
                                        sort));
  report.ok(kSubject, fmt::format("{} segments, {} sets of semaphores, {} message queues",
                                  image.segments_size(), image.semaphores_size(),
                                  image.message_queues_size()));
}

Result<void> fill_namespace(const pb::IpcNamespace& image) {
  for (const pb::IpcSetting& setting : image.settings()) {
    if (!is_known(setting.path()))
      return fail(ErrorKind::kImages, fmt::format("unknown IPC setting `{}`", setting.path()));
    if (read_setting(setting.path()) == setting.value()) continue;
    if (!(std::ofstream("/proc/sys/" + setting.path()) << setting.value() << std::flush))
      return fail(ErrorKind::kMachine,
                  fmt::format("{} can't be set to {}", setting.path(), setting.value()));
  }
  TRY(create_segments(image));
  TRY(create_semaphores(image));
  return create_message_queues(image);
}

Result<void> finish_namespace(const pb::IpcNamespace& image, int proc_fd) {
  const NamespaceScope scope = TRY(NamespaceScope::enter(proc_fd));
  return remove_segments(image);
}

}  // namespace cryostat::ipc
