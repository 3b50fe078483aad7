#include "engine/base/error.h"

#include <cerrno>
#include <cstring>

namespace cryostat {

namespace {
ErrorKind kind_of_errno(int errno_value) {
  switch (errno_value) {
    case ESRCH:
      return ErrorKind::kTargetGone;
    case EPERM:
    case EACCES:
      return ErrorKind::kPermission;
    default:
      return ErrorKind::kFailed;
  }
}
}  // namespace

std::string errno_name(int errno_value) {
  const char* name = strerrorname_np(errno_value);
  return name != nullptr ? name : "errno " + std::to_string(errno_value);
}

Error& Error::operator=(Error&& other) noexcept {
  if (this == &other) return *this;
  kind_ = other.kind_;
  errno_ = other.errno_;
  what_ = std::move(other.what_);
  hint_ = std::move(other.hint_);
  contexts_ = std::move(other.contexts_);
  lines_ = std::move(other.lines_);
  return *this;
}

Error Error::from_errno(int errno_value, std::string what) {
  Error error(kind_of_errno(errno_value), std::move(what));
  error.errno_ = errno_value;
  return error;
}

Error&& Error::with_hint(std::string hint) && {
  hint_ = std::move(hint);
  return std::move(*this);
}

Error&& Error::as(ErrorKind kind) && {
  kind_ = kind;
  return std::move(*this);
}

Error&& Error::in(std::string context) && {
  contexts_.push_back(std::move(context));
  return std::move(*this);
}

Error&& Error::with_line(std::string line) && {
  lines_.push_back(std::move(line));
  return std::move(*this);
}

std::string Error::message() const {
  std::string text;
  for (auto it = contexts_.rbegin(); it != contexts_.rend(); ++it) text += *it + ": ";
  text += what_;
  if (errno_ != 0) {
    text += ": ";
    text += strerrordesc_np(errno_) != nullptr ? strerrordesc_np(errno_) : "unknown error";
    text += " (" + errno_name(errno_) + ")";
  }
  return text;
}

Failure fail(ErrorKind kind, std::string what) {
  return tl::unexpected(Error(kind, std::move(what)));
}

Failure fail_errno(std::string what) { return fail_errno(errno, std::move(what)); }

Failure fail_errno(int errno_value, std::string what) {
  return tl::unexpected(Error::from_errno(errno_value, std::move(what)));
}

}  // namespace cryostat
