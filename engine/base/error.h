// The one error type of the engine: what kind of failure, what was being done, to what, and why.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace cryostat {

// What a failure means to the person who ran the tool; the values are the exit codes.
enum class ErrorKind : uint8_t {
  kFailed = 1,      // an operation failed for a reason not named below
  kUsage = 2,       // wrong options
  kRefused = 3,     // state that can't be saved or put back
  kTargetGone = 4,  // the target exited, or was never there
  kImages = 5,      // images damaged, incomplete or not there
  kMachine = 6,     // this machine does not fit: pid taken, file missing or changed, feature absent
  kPermission = 7,  // a privilege is missing
};

// A failure. `what` says what was being done and to what ("read /proc/42/maps"); contexts are added
// on the way up, outermost last, and printed outermost first; `hint` says what a person can do.
class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string what) : kind_(kind), what_(std::move(what)) {}

  Error(const Error&) = default;
  Error(Error&&) = default;
  Error& operator=(const Error&) = default;
  // Safe for `error = std::move(error).with_hint(…)`, which moves an error onto itself.
  Error& operator=(Error&& other) noexcept;
  ~Error() = default;

  // A failed system call. `errno_value` is captured by the caller on the failing line; ESRCH maps
  // to kTargetGone and EPERM/EACCES to kPermission unless another kind is given with `as`.
  static Error from_errno(int errno_value, std::string what);

  Error&& with_hint(std::string hint) &&;
  Error&& as(ErrorKind kind) &&;
  Error&& in(std::string context) &&;  // adds an outer context

  ErrorKind kind() const { return kind_; }
  int errno_value() const { return errno_; }
  const std::string& hint() const { return hint_; }

  // More lines of the same failure (one per refused object); printed as lines of their own.
  Error&& with_line(std::string line) &&;
  void add_line(std::string line) { lines_.push_back(std::move(line)); }
  const std::vector<std::string>& lines() const { return lines_; }

  // "outer: inner: what: strerror (errno name)", without the hint.
  std::string message() const;

 private:
  ErrorKind kind_;
  int errno_ = 0;
  std::string what_;
  std::string hint_;
  std::vector<std::string> contexts_;
  std::vector<std::string> lines_;
};

template <typename T>
using Result = tl::expected<T, Error>;

using Failure = tl::unexpected<Error>;

// Short forms: `return fail(ErrorKind::kImages, "...")`, `return fail_errno("open {}", path)`.
Failure fail(ErrorKind kind, std::string what);
// Uses the current errno: call it on the line after the failing call, before anything else.
Failure fail_errno(std::string what);
Failure fail_errno(int errno_value, std::string what);

// "ENOENT" for 2, and so on; "errno 1234" for unknown values.
std::string errno_name(int errno_value);

}  // namespace cryostat

// Unwraps a Result or returns its error from the enclosing function.
//   auto maps = TRY(read_maps(task));      TRY(task.detach());
#define TRY(expr)                                                      \
  __extension__({                                                      \
    auto cryostat_try_result = (expr);                                 \
    if (!cryostat_try_result.has_value())                              \
      return ::tl::unexpected(std::move(cryostat_try_result).error()); \
    ::cryostat::detail::take(std::move(cryostat_try_result));          \
  })

// The same, adding an outer context to the error.
#define TRY_IN(expr, context)                                                      \
  __extension__({                                                                  \
    auto cryostat_try_result = (expr);                                             \
    if (!cryostat_try_result.has_value())                                          \
      return ::tl::unexpected(std::move(cryostat_try_result).error().in(context)); \
    ::cryostat::detail::take(std::move(cryostat_try_result));                      \
  })

namespace cryostat::detail {
template <typename T>
T take(tl::expected<T, Error>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace cryostat::detail
