#include "engine/cli/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "engine/base/log.h"
#include "engine/base/span.h"

namespace cryostat::cli {

std::string path_in(const std::string& dir, const std::string& name) {
  return name.starts_with('/') ? name : dir + "/" + name;
}

Result<bool> make_dir(const std::string& dir) {
  if (::mkdir(dir.c_str(), 0700) == 0) return true;
  if (errno == EEXIST) return false;
  return fail_errno("create the folder " + dir);
}

Result<UniqueFd> create_file(const std::string& path, std::string_view what) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600));
  if (!fd) return fail_errno(fmt::format("open the {} {}", what, path));
  return fd;
}

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("write " + path);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Result<UniqueFd> open_log(const SharedOptions& shared, const std::string& work_dir) {
  UniqueFd file;
  int fd = STDERR_FILENO;
  if (shared.log_file == "-") {
    fd = STDOUT_FILENO;
  } else if (!shared.log_file.empty()) {
    file = TRY(create_file(path_in(work_dir, shared.log_file), "log file"));
    fd = file.get();
  }
  log::configure(fd, static_cast<log::Level>(shared.verbosity));
  return file;
}

Result<UniqueFd> open_trace(const SharedOptions& shared) {
  if (shared.trace_file.empty()) return UniqueFd();
  return create_file(shared.trace_file, "trace file");
}

Result<void> write_trace(const UniqueFd& fd, const SharedOptions& shared, std::string_view tool) {
  if (!fd) return {};
  return write_all(fd.get(), SpanLog::get().to_trace_json(tool), shared.trace_file);
}

}  // namespace cryostat::cli
