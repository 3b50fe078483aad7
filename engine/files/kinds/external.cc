#include "engine/files/kinds/external.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/external.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

namespace {

const char* type_name(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFIFO:
      return "pipe";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "character device";
    case S_IFDIR:
      return "directory";
    case S_IFREG:
      return "file";
    default:
      return "object of another type";
  }
}

bool allows(int has, uint32_t wanted) {
  const int mode = has & O_ACCMODE;
  return mode == O_RDWR || static_cast<uint32_t>(mode) == (wanted & O_ACCMODE);
}

// What is wrong with a descriptor that was handed in; empty: nothing.
std::string wrong_with(int fd, const pb::Description& image) {
  struct stat st;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fstat(fd, &st) != 0) return fmt::format("descriptor {} is not open", fd);
  const auto mode = image.external().mode();
  if ((st.st_mode & S_IFMT) != (mode & S_IFMT))
    return fmt::format("descriptor {} is a {}, not a {}", fd, type_name(st.st_mode),
                       type_name(mode));
  // A file is opened anew, everything else is shared with the caller.
  if (!image.external().reopen() && !allows(flags, image.flags()))
    return fmt::format("descriptor {} is not open for what the process does with it", fd);
  return "";
}

}  // namespace

bool ExternalKind::matches(const OpenDescription&) const { return false; }

Result<void> ExternalKind::collect(CollectContext& context, const OpenDescription& description,
                                   pb::Description& image) const {
  auto& external = *image.mutable_external();
  external.set_key(*external_key(context.options().external, description));
  external.set_mode(description.st.st_mode);
  external.set_reopen(S_ISREG(description.st.st_mode) || S_ISDIR(description.st.st_mode));
  external.set_link(description.link);
  return {};
}

bool ExternalKind::owns(const pb::Description& image) const { return image.has_external(); }

void ExternalKind::check(CheckContext& context, const pb::Description& image,
                         PlanReport& report) const {
  const auto& external = image.external();
  const auto subject = fmt::format("external {} ({})", external.key(), external.link());
  if (!context.first_time(subject)) return;
  const auto found = context.options().inherited.find(external.key());
  if (found == context.options().inherited.end()) {
    report.missing(subject, "no descriptor was handed in for it",
                   fmt::format("open it and add --inherit-fd 'fd[N]:{}'", external.key()),
                   ErrorKind::kUsage);
  } else if (auto wrong = wrong_with(found->second, image); !wrong.empty()) {
    report.missing(subject, std::move(wrong), "", ErrorKind::kUsage);
  } else {
    report.ok(subject, fmt::format("descriptor {}", found->second));
  }
}

Result<UniqueFd> ExternalKind::restore(RestoreContext& context,
                                       const pb::Description& image) const {
  const auto found = context.inputs().inherited.find(image.external().key());
  if (found == context.inputs().inherited.end())
    return fail(ErrorKind::kUsage, fmt::format("no --inherit-fd for {}", image.external().key()));
  if (image.external().reopen()) return reopen(found->second, open_flags(image.flags()));
  UniqueFd fd(fcntl(found->second, F_DUPFD_CLOEXEC, 0));
  if (!fd) return fail_errno("duplicate an inherited descriptor");
  return fd;
}

}  // namespace cryostat::files
