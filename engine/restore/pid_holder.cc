#include "engine/restore/pid_holder.h"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "engine/procfs/stat.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::restore {

namespace {

std::optional<procfs::Stat> stat_of(pid_t pid) {
  const auto dir = ProcDir::open(fmt::format("/proc/{}", pid));
  if (!dir) return std::nullopt;
  const auto text = dir->read("stat");
  if (!text) return std::nullopt;
  auto stat = procfs::parse_stat(*text);
  if (!stat) return std::nullopt;
  return std::move(*stat);
}

// The thread group a tid belongs to; the tid itself when it can't be told.
pid_t process_of(pid_t tid) {
  const auto dir = ProcDir::open(fmt::format("/proc/{}", tid));
  const auto text = dir ? dir->read("status") : Result<std::string>(tl::unexpected(dir.error()));
  if (!text) return tid;
  const auto status = procfs::parse_status(*text);
  return status ? status->tgid : tid;
}

// "10:02" today, with the date otherwise. The start is counted from boot, suspends included.
std::string start_time(uint64_t start_ticks) {
  timespec now{};
  timespec up{};
  clock_gettime(CLOCK_REALTIME, &now);
  clock_gettime(CLOCK_BOOTTIME, &up);
  const time_t ticks_per_second = sysconf(_SC_CLK_TCK);
  const time_t started =
      now.tv_sec - up.tv_sec + static_cast<time_t>(start_ticks) / ticks_per_second;
  tm then{};
  tm today{};
  localtime_r(&started, &then);
  localtime_r(&now.tv_sec, &today);
  char text[32];
  const bool same_day = then.tm_year == today.tm_year && then.tm_yday == today.tm_yday;
  strftime(text, sizeof(text), same_day ? "%H:%M" : "%Y-%m-%d %H:%M", &then);
  return text;
}

constexpr const char* kNamespaceHint = "or restore in a pid namespace of its own (unshare -pf)";

PidHolder describe_process(pid_t pid, const procfs::Stat& stat) {
  if (stat.state == 'Z') {
    const auto parent = stat_of(stat.ppid);
    return {
        fmt::format("pid {} is taken by the zombie of `{}`, whose status its parent {} (`{}`) has "
                    "not collected",
                    pid, stat.comm, stat.ppid, parent ? parent->comm : "?"),
        fmt::format("end the parent, {}", kNamespaceHint)};
  }
  const pid_t process = process_of(pid);
  const std::string started = start_time(stat.start_time_ticks);
  if (process != pid) {
    return {fmt::format("pid {} is taken by a thread of process {} (`{}`, started {})", pid,
                        process, stat.comm, started),
            fmt::format("end that process, {}", kNamespaceHint)};
  }
  return {fmt::format("pid {} is taken by `{}` (started {})", pid, stat.comm, started),
          fmt::format("end it, {}", kNamespaceHint)};
}

// A member of the process group or session `id`, whose leader is gone.
std::optional<PidHolder> find_group_member(pid_t id) {
  const auto proc = ProcDir::open("/proc");
  const auto pids = proc ? proc->list_numbers(".") : Result<std::vector<int>>(std::vector<int>());
  if (!pids) return std::nullopt;
  for (const int pid : *pids) {
    const auto stat = stat_of(pid);
    if (!stat || (stat->pgrp != id && stat->session != id)) continue;
    return PidHolder{fmt::format("pid {} is taken: it is the {} of process {} (`{}`)", id,
                                 stat->pgrp == id ? "process group" : "session", pid, stat->comm),
                     fmt::format("end that process, {}", kNamespaceHint)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<PidHolder> find_pid_holder(pid_t pid, bool search_sessions) {
  // Signal 0 finds processes, threads and zombies alike (kill(2)).
  if (kill(pid, 0) == 0 || errno == EPERM) {
    const auto stat = stat_of(pid);
    if (stat) return describe_process(pid, *stat);
    return PidHolder{fmt::format("pid {} is taken by a process that /proc does not show", pid),
                     fmt::format("end it, {}", kNamespaceHint)};
  }
  const bool is_group = pid > 1 && (kill(-pid, 0) == 0 || errno == EPERM);
  if (is_group || search_sessions) {
    if (auto holder = find_group_member(pid)) return holder;
  }
  if (is_group) {
    return PidHolder{fmt::format("pid {} is taken: a process group has its number", pid), ""};
  }
  return std::nullopt;
}

}  // namespace cryostat::restore
