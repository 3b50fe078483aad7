#include "engine/base/action_script.h"

#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>

#include "engine/base/unique_fd.h"

extern char** environ;

namespace cryostat {

namespace {

std::string absolute(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

// Ours with `own` in front, so that they win.
std::vector<std::string> environment_with(std::vector<std::string> own) {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("CRTOOLS_")) own.emplace_back(*entry);
  }
  return own;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (auto& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

Result<pid_t> start(const std::string& program, std::vector<std::string>& environment) {
  posix_spawnattr_t attributes;
  if (const int error = posix_spawnattr_init(&attributes); error != 0)
    return fail_errno(error, "prepare to run " + program);
  // What the tool does with signals is not the program's business.
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> arguments = {program};
  auto variables = pointers(environment);
  pid_t pid = 0;
  int error = posix_spawn(&pid, program.c_str(), nullptr, &attributes, pointers(arguments).data(),
                          variables.data());
  if (error == ENOEXEC) {
    arguments = {"/bin/sh", program};
    error = posix_spawn(&pid, "/bin/sh", nullptr, &attributes, pointers(arguments).data(),
                        variables.data());
  }
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(error, "run " + program);
  return pid;
}

Result<int> wait_for(pid_t pid, const std::string& program, const StopRequest& stop) {
  constexpr int kLookEveryMs = 50;
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  bool told_to_stop = false;
  for (;;) {
    int status = 0;
    const pid_t done = waitpid(pid, &status, pidfd ? WNOHANG : 0);
    if (done == pid) return status;
    if (done < 0 && errno != EINTR) return fail_errno("wait for " + program);
    if (stop.requested() && !told_to_stop) {
      kill(pid, SIGTERM);
      told_to_stop = true;
    }
    pollfd poll_fd = {pidfd.get(), POLLIN, 0};
    (void)poll(&poll_fd, 1, kLookEveryMs);
  }
}

Result<void> verdict(int status, const std::string& program, std::string_view moment) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const auto how = WIFEXITED(status) ? fmt::format("status {}", WEXITSTATUS(status))
                                     : fmt::format("signal {}", WTERMSIG(status));
  return fail(ErrorKind::kFailed, fmt::format("action script {}: {} at {}", program, how, moment));
}

}  // namespace

Result<void> ActionScripts::run(std::string_view moment, int root_pid,
                                const StopRequest& stop) const {
  if (programs.empty()) return {};
  std::vector<std::string> own = {fmt::format("CRTOOLS_SCRIPT_ACTION={}", moment),
                                  "CRTOOLS_IMAGE_DIR=" + absolute(images_dir)};
  if (root_pid > 0) own.push_back(fmt::format("CRTOOLS_INIT_PID={}", root_pid));
  auto environment = environment_with(std::move(own));
  for (const auto& program : programs) {
    const pid_t pid = TRY(start(program, environment));
    const int status = TRY(wait_for(pid, program, stop));
    TRY(stop.check());
    TRY(verdict(status, program, moment));
  }
  return {};
}

}  // namespace cryostat
