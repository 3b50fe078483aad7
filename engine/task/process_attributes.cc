#include "engine/task/process_attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "engine/base/deleted_directory.h"
#include "engine/base/plan_report.h"
#include "engine/base/refusals.h"
#include "engine/base/unique_fd.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"
#include "engine/task/start_state.h"
#include "proto/task.pb.h"

namespace cryostat::task {

namespace {

Result<int64_t> parse_number(std::string_view text, int base, const std::string& name) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size())
    return fail(ErrorKind::kFailed, fmt::format("{} holds '{}', not a number", name, text));
  return value;
}

constexpr std::string_view kDeletedSuffix = " (deleted)";

// Some file systems never count a directory's links down to 0; what is called so may be there, too.
bool is_deleted(const std::string& path, const struct stat& inside) {
  struct stat outside {};
  return path.ends_with(kDeletedSuffix) &&
         (stat(path.c_str(), &outside) != 0 || outside.st_dev != inside.st_dev ||
          outside.st_ino != inside.st_ino);
}

// `link` is "root" or "cwd". The path must lead to the directory itself, as the engine sees it.
Result<void> save_directory(const TaskHandle& task, const std::string& link, Refusals& refusals,
                            pb::PathRef& image) {
  const std::string path = TRY(task.proc().read_link(link));
  struct stat inside {};
  struct stat outside {};
  if (fstatat(task.proc().fd(), link.c_str(), &inside, 0) != 0)
    return fail_errno(fmt::format("look at {}/{}", task.proc().path(), link));
  const char* words = link == "cwd" ? "working directory" : "root directory";
  if (link == "cwd" && is_deleted(path, inside)) {
    image.set_path(path.substr(0, path.size() - kDeletedSuffix.size()));
    image.set_mode(inside.st_mode);
    image.set_deleted(true);
    image.set_uid(inside.st_uid);
    image.set_gid(inside.st_gid);
    return {};
  }
  if (inside.st_nlink == 0) {
    refusals.add(task.pid(), words, path + " was deleted, it can't be checkpointed");
    return {};
  }
  if (stat(path.c_str(), &outside) != 0 || outside.st_dev != inside.st_dev ||
      outside.st_ino != inside.st_ino) {
    refusals.add(task.pid(), words, "no path leads to it any more (was " + path + ")");
    return {};
  }
  image.set_path(path);
  image.set_device(inside.st_dev);
  image.set_inode(inside.st_ino);
  image.set_mode(inside.st_mode);
  return {};
}

void check_directory(const pb::PathRef& image, const char* words, PlanReport& report) {
  if (image.path().empty()) return;
  const std::string subject = fmt::format("{} {}", words, image.path());
  struct stat found {};
  // A deleted one is made again where it was.
  const std::string path =
      image.deleted() ? image.path().substr(0, image.path().rfind('/') + 1) : image.path();
  if (stat(path.c_str(), &found) != 0) {
    report.missing(subject, fmt::format("is not there ({})", errno_name(errno)),
                   "create it or mount what holds it");
  } else if (!S_ISDIR(found.st_mode)) {
    report.missing(subject, "is not a directory");
  } else {
    report.ok(subject);
  }
}

Result<void> write_own(const std::string& name, const std::string& text) {
  const std::string path = "/proc/self/" + name;
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open " + path);
  if (write(fd.get(), text.data(), text.size()) < 0)
    return fail_errno(fmt::format("write '{}' to {}", text, path));
  return {};
}

Result<int64_t> own_oom_score_adj() {
  const UniqueFd fd(open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open /proc/self/oom_score_adj");
  char text[32];
  const ssize_t length = read(fd.get(), text, sizeof(text));
  if (length < 0) return fail_errno("read /proc/self/oom_score_adj");
  return parse_number({text, static_cast<size_t>(length)}, 10, "/proc/self/oom_score_adj");
}

Result<UniqueFd> open_working_directory(const pb::PathRef& image) {
  if (image.deleted())
    return create_deleted_directory(image.path(), {image.mode(), image.uid(), image.gid()}, O_PATH);
  UniqueFd cwd(open(image.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!cwd) return fail_errno("open the working directory " + image.path());
  return cwd;
}

// chroot(2) does not move the working directory, so it is set afterwards, relative to a
// descriptor taken while its path still meant something.
Result<void> enter_directories(const pb::Task& image) {
  UniqueFd cwd;
  if (!image.cwd().path().empty()) {
    cwd = TRY(open_working_directory(image.cwd()));
  }
  const std::string& root = image.root().path();
  if (!root.empty() && root != "/" && chroot(root.c_str()) != 0)
    return fail_errno("change the root directory to " + root);
  if (cwd && fchdir(cwd.get()) != 0)
    return fail_errno("change to the working directory " + image.cwd().path());
  return {};
}

}  // namespace

Result<void> save_process_attributes(const TaskHandle& task, const procfs::Stat& stat,
                                     const procfs::Status& status, Refusals& refusals,
                                     pb::Task& image) {
  image.set_umask(status.umask);
  image.set_exit_signal(static_cast<uint32_t>(stat.exit_signal));
  pb::CpuTimes& times = *image.mutable_cpu_times();
  times.set_user_ticks(stat.user_ticks);
  times.set_system_ticks(stat.system_ticks);
  times.set_children_user_ticks(static_cast<uint64_t>(stat.children_user_ticks));
  times.set_children_system_ticks(static_cast<uint64_t>(stat.children_system_ticks));
  times.set_start_time_ticks(stat.start_time_ticks);
  const std::string oom = TRY(task.proc().read("oom_score_adj"));
  image.set_oom_score_adj(static_cast<int32_t>(TRY(parse_number(oom, 10, "oom_score_adj"))));
  // Absent without CONFIG_ELF_CORE.
  if (const auto filter = task.proc().read("coredump_filter"))
    image.set_coredump_filter(
        static_cast<uint32_t>(TRY(parse_number(*filter, 16, "coredump_filter"))));
  TRY(save_directory(task, "root", refusals, *image.mutable_root()));
  return save_directory(task, "cwd", refusals, *image.mutable_cwd());
}

void check_process_attributes(const pb::Task& image, const StartState& start, PlanReport& report) {
  check_directory(image.root(), "root directory", report);
  check_directory(image.cwd(), "working directory", report);
  if (image.exit_signal() != 0 && image.exit_signal() != SIGCHLD)
    report.missing("exit signal",
                   fmt::format("was signal {}; only SIGCHLD can be put back", image.exit_signal()),
                   "", ErrorKind::kRefused);
  const auto own = own_oom_score_adj();
  const bool may_lower = (start.thread.cap_effective >> CAP_SYS_RESOURCE & 1) != 0;
  if (own && image.oom_score_adj() < *own && !may_lower) {
    report.missing("oom_score_adj",
                   fmt::format("was {}, below the {} of cr-restore", image.oom_score_adj(), *own),
                   "restore with CAP_SYS_RESOURCE, or with a lower oom_score_adj",
                   ErrorKind::kPermission);
  }
}

Result<void> apply_process_attributes(const pb::Task& image) {
  const auto own_oom = own_oom_score_adj();
  if (!own_oom || *own_oom != image.oom_score_adj())
    TRY(write_own("oom_score_adj", std::to_string(image.oom_score_adj())));
  // Absent without CONFIG_ELF_CORE, then there is no core dump to filter.
  if (access("/proc/self/coredump_filter", F_OK) == 0)
    TRY(write_own("coredump_filter", fmt::format("{:#x}", image.coredump_filter())));
  return {};
}

Result<void> apply_directories(const pb::Task& image) {
  TRY(enter_directories(image));
  umask(static_cast<mode_t>(image.umask()));
  return {};
}

}  // namespace cryostat::task
