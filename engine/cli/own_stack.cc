#include "engine/cli/own_stack.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>

namespace cryostat::cli {

namespace {

constexpr rlim_t kUsualBytes = rlim_t{8} << 20;
// Measured: half of it is enough for every tool.
constexpr rlim_t kNeededBytes = 128 * 1024;
constexpr size_t kThreadBytes = size_t{1} << 20;

// glibc took the limit at the start of the program for their default (pthread_create(3)).
void widen_thread_stacks() {
  pthread_attr_t attributes;
  if (pthread_getattr_default_np(&attributes) != 0) return;
  size_t size = 0;
  pthread_attr_getstacksize(&attributes, &size);
  if (size < kThreadBytes && pthread_attr_setstacksize(&attributes, kThreadBytes) == 0)
    (void)pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
}

}  // namespace

Result<void> ensure_stack() {
  rlimit limit{};
  if (getrlimit(RLIMIT_STACK, &limit) != 0) return fail_errno("getrlimit RLIMIT_STACK");
  if (limit.rlim_max < kNeededBytes)
    return tl::unexpected(
        Error(ErrorKind::kMachine,
              fmt::format("the stack is limited to {} KiB (hard limit), {} KiB are needed",
                          limit.rlim_max >> 10, kNeededBytes >> 10))
            .with_hint("raise the hard limit of the session (ulimit -Hs)"));
  widen_thread_stacks();
  if (limit.rlim_cur >= kUsualBytes) return {};
  limit.rlim_cur = std::min(limit.rlim_max, kUsualBytes);
  if (setrlimit(RLIMIT_STACK, &limit) != 0) return fail_errno("raise the soft RLIMIT_STACK");
  return {};
}

}  // namespace cryostat::cli
