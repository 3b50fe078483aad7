#include "engine/procfs/task_handle.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

#include "engine/procfs/stat.h"

namespace cryostat {

namespace {

// No /proc text we read is larger; smaps of a million areas stays below.
constexpr size_t kMaxProcText = size_t{2} << 30;
constexpr size_t kFirstRead = 16 * 1024;

// /proc answers ESRCH, and its directories ENOENT, once the task is gone.
Failure proc_failure(int errno_value, const ProcDir& dir, const char* verb,
                     const std::string& name) {
  std::string what = fmt::format("{} {}/{}", verb, dir.path(), name);
  if (errno_value == ENOENT) {
    struct stat unused;
    if (fstatat(dir.fd(), "stat", &unused, 0) != 0) errno_value = ESRCH;
  }
  return fail_errno(errno_value, std::move(what));
}

}  // namespace

Result<ProcDir> ProcDir::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno == ENOENT ? ESRCH : errno;
    return fail_errno(error, fmt::format("open {}", path));
  }
  return ProcDir(UniqueFd(fd), path);
}

Result<ProcDir> ProcDir::thread(Tid tid) const {
  const std::string name = fmt::format("task/{}", tid.value);
  const int fd = ::openat(fd_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno == ENOENT ? ESRCH : errno;
    return fail_errno(error, fmt::format("open {}/{}", path_, name));
  }
  return ProcDir(UniqueFd(fd), path_ + "/" + name);
}

Result<UniqueFd> ProcDir::open_file(const std::string& name, int flags) const {
  const int fd = ::openat(fd_.get(), name.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return proc_failure(errno, *this, "open", name);
  return UniqueFd(fd);
}

Result<std::string> ProcDir::read(const std::string& name) const {
  const UniqueFd file = TRY(open_file(name, O_RDONLY));
  std::string text;
  text.resize(kFirstRead);
  size_t length = 0;
  for (;;) {
    const ssize_t got = ::read(file.get(), text.data() + length, text.size() - length);
    if (got < 0) {
      if (errno == EINTR) continue;
      return proc_failure(errno, *this, "read", name);
    }
    if (got == 0) break;
    length += static_cast<size_t>(got);
    if (length == text.size()) {
      if (length >= kMaxProcText) {
        return fail(ErrorKind::kFailed,
                    fmt::format("read {}/{}: longer than {} bytes", path_, name, kMaxProcText));
      }
      text.resize(length * 2);
    }
  }
  text.resize(length);
  return text;
}

Result<void> ProcDir::write(const std::string& name, std::string_view text) const {
  const UniqueFd file = TRY(open_file(name, O_WRONLY));
  const ssize_t put = ::write(file.get(), text.data(), text.size());
  if (put < 0) return proc_failure(errno, *this, "write", name);
  if (static_cast<size_t>(put) != text.size()) {
    return fail(ErrorKind::kFailed, fmt::format("write {}/{}: only {} of {} bytes taken", path_,
                                                name, put, text.size()));
  }
  return {};
}

Result<std::string> ProcDir::read_link(const std::string& name) const {
  // The kernel builds the path in one page, so a longer link is ENAMETOOLONG, never cut.
  char buffer[4096 + 1];
  const ssize_t length = ::readlinkat(fd_.get(), name.c_str(), buffer, sizeof(buffer));
  if (length < 0) return proc_failure(errno, *this, "read link", name);
  return std::string(buffer, static_cast<size_t>(length));
}

Result<std::vector<int>> ProcDir::list_numbers(const std::string& name) const {
  UniqueFd dir_fd = TRY(open_file(name, O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(dir_fd.get()), closedir);
  if (dir == nullptr) return proc_failure(errno, *this, "list", name);
  (void)dir_fd.release();  // the stream owns it now
  std::vector<int> numbers;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr) break;
    const std::string_view text = entry->d_name;
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) numbers.push_back(number);
  }
  if (errno != 0) return proc_failure(errno, *this, "list", name);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<TaskHandle> TaskHandle::open(HostPid pid) {
  if (pid.value <= 0) {
    return fail(ErrorKind::kUsage, fmt::format("{} is not a process id", pid.value));
  }
  return find_through_exec([&] { return open_once(pid); });
}

Result<TaskHandle> TaskHandle::open_once(HostPid pid) {
  const long raw = ::syscall(SYS_pidfd_open, pid.value, 0);
  if (raw < 0) {
    // EINVAL (ENOENT from 6.15 on): the number is that of a thread, not of a process
    // (pidfd_open(2)).
    if (errno == EINVAL || errno == ENOENT) {
      return fail(ErrorKind::kTargetGone, fmt::format("{} is a thread, not a process", pid.value));
    }
    if (errno == ESRCH) {
      return fail(ErrorKind::kTargetGone, fmt::format("there is no process {}", pid.value));
    }
    return fail_errno(fmt::format("open a pidfd of process {}", pid.value));
  }
  UniqueFd pidfd(static_cast<int>(raw));
  ProcDir proc = TRY(ProcDir::open(fmt::format("/proc/{}", pid.value)));
  const std::string text = TRY(proc.read("stat"));
  const procfs::Stat stat = TRY(procfs::parse_stat(text));
  // The directory was opened after the pidfd: if the process of the pidfd still exists, both are
  // the same one, since its number can't have been given away.
  const long alive = ::syscall(SYS_pidfd_send_signal, pidfd.get(), 0, nullptr, 0);
  if (alive < 0 && errno == ESRCH) {
    return fail(ErrorKind::kTargetGone, fmt::format("process {} is gone", pid.value));
  }
  return TaskHandle(pid, std::move(pidfd), std::move(proc), stat.start_time_ticks);
}

Result<UniqueFd> TaskHandle::get_fd(RemoteFd fd) const {
  const long copy = ::syscall(SYS_pidfd_getfd, pidfd_.get(), fd.value, 0);
  if (copy < 0) {
    return fail_errno(fmt::format("copy descriptor {} of process {}", fd.value, pid_.value));
  }
  return UniqueFd(static_cast<int>(copy));
}

}  // namespace cryostat
