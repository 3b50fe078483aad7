#include "engine/files/pty_queue.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <memory>

#include "engine/files/pty_line.h"
#include "engine/kernel/capabilities.h"
#include "proto/pty.pb.h"

namespace cryostat::files {

namespace {

constexpr unsigned kHelperSeconds = 10;
// From here on more may wait in front of the line discipline, however it counts the bytes.
constexpr int kNearlyFull = 4090;
constexpr int kManyLineBytes = 2047;

// What the child that empties and fills the queues shares with the engine.
struct Shared {
  PtyQueues queues;
  StepFailure failure;  // texts are literals: the child is a fork
};

struct Unmap {
  void operator()(Shared* shared) const { (void)munmap(shared, sizeof(Shared)); }
};
using SharedMapping = std::unique_ptr<Shared, Unmap>;

Result<SharedMapping> map_shared() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail_errno("map memory for a terminal's queues");
  return SharedMapping(new (memory) Shared);
}

Failure refuse(std::string reason) { return fail(ErrorKind::kRefused, std::move(reason)); }

// Input passes the line discipline unchanged and without a side effect.
bool is_transparent(const struct termios2& settings) {
  constexpr tcflag_t kTranslating = ISTRIP | INLCR | IGNCR | ICRNL | IUCLC | IXON | PARMRK;
  constexpr tcflag_t kActing = ICANON | ISIG | ECHO | ECHONL;
  return (settings.c_iflag & kTranslating) == 0 && (settings.c_lflag & kActing) == 0;
}

Result<void> check_can_peek(PtyFds fds, const struct termios2& settings, bool packet_mode) {
  if ((settings.c_lflag & EXTPROC) != 0)
    return refuse("pseudoterminal with external processing (EXTPROC) can't be checkpointed");
  struct pollfd status = {fds.master, POLLPRI, 0};
  if (packet_mode && poll(&status, 1, 0) == 1 && (status.revents & POLLPRI) != 0)
    return refuse("pseudoterminal with an unread packet mode status can't be checkpointed");
  const int output = unread_bytes(fds.master);
  if (output < kNearlyFull && !may_write(fds.slave))
    return refuse("pseudoterminal whose output is stopped (^S) can't be checkpointed");
  const int input = unread_bytes(fds.slave);
  const bool line_mode = (settings.c_lflag & ICANON) != 0;
  if (line_mode ? input > kManyLineBytes : input >= kNearlyFull && !is_transparent(settings))
    return refuse(
        fmt::format("pseudoterminal with {} or more bytes of unread input can't be "
                    "checkpointed",
                    input));
  return {};
}

// In the child. Packet mode would put a byte in front of everything that is read, and report the
// changes made here to its reader.
void take_and_put(PtyFds fds, const struct termios2& settings, bool packet_mode, Shared& shared) {
  const int off = 0, on = 1;
  const int flags = fcntl(fds.master, F_GETFL);
  if (packet_mode) (void)ioctl(fds.master, TIOCPKT, &off);
  (void)fcntl(fds.master, F_SETFL, flags | O_NONBLOCK);
  PtyLine line(fds, settings, shared.queues);
  // Input first: taking it may echo. Everything that was taken is put back, whatever failed.
  bool good = line.take_input();
  good = line.take_output() && good;
  good = line.put_input() && good;
  good = line.put_output() && good;
  if (packet_mode) (void)ioctl(fds.master, TIOCPKT, &on);
  (void)fcntl(fds.master, F_SETFL, flags);
  if (!good) shared.failure = line.failure();
  if (line.has_rest() && fork() == 0) {
    alarm(0);
    line.feed();
    _exit(0);
  }
}

// Runs take_and_put() in a child, which a killed engine does not take along.
Result<void> run_in_child(PtyFds fds, const struct termios2& settings, bool packet_mode,
                          Shared& shared) {
  const pid_t child = fork();
  if (child < 0) return fail_errno("fork to look into a terminal");
  if (child == 0) {
    (void)setsid();
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGALRM);
    (void)sigprocmask(SIG_SETMASK, &all, nullptr);
    (void)signal(SIGALRM, SIG_DFL);
    alarm(kHelperSeconds);
    take_and_put(fds, settings, packet_mode, shared);
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail_errno("wait for the child that looks into a terminal");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(ErrorKind::kFailed, "the child that looks into a terminal was killed");
  if (shared.failure.what != nullptr) return fail_errno(shared.failure.error, shared.failure.what);
  return {};
}

void store(const PtyQueues& queues, pb::PtyState& state) {
  const auto* data = reinterpret_cast<const char*>(queues.input.data());
  for (uint32_t i = 0; i < queues.pieces_used; ++i) {
    const auto& piece = queues.pieces[i];
    auto& out = *state.add_to_slave();
    out.set_data(data, piece.bytes);
    out.set_end(static_cast<pb::PtyInput::End>(piece.end));
    data += piece.bytes;
  }
  state.set_to_master(queues.output.data(), queues.output_bytes);
}

Result<void> load(const pb::PtyState& state, PtyQueues& queues) {
  const auto too_much = [] {
    return fail(ErrorKind::kImages, "more in a pseudoterminal than one can hold");
  };
  for (const auto& piece : state.to_slave()) {
    if (queues.pieces_used == queues.pieces.size() ||
        piece.data().size() > queues.input.size() - queues.input_bytes ||
        !pb::PtyInput::End_IsValid(piece.end()))
      return too_much();
    std::memcpy(queues.input.data() + queues.input_bytes, piece.data().data(), piece.data().size());
    queues.input_bytes += static_cast<uint32_t>(piece.data().size());
    queues.pieces[queues.pieces_used++] = {static_cast<uint32_t>(piece.data().size()),
                                           static_cast<PieceEnd>(piece.end())};
  }
  if (state.to_master().size() > queues.output.size()) return too_much();
  std::memcpy(queues.output.data(), state.to_master().data(), state.to_master().size());
  queues.output_bytes = static_cast<uint32_t>(state.to_master().size());
  return {};
}

}  // namespace

Result<void> peek_pty(PtyFds fds, pb::PtyState& state) {
  struct termios2 settings = {};
  int packet_mode = 0;
  if (ioctl(fds.slave, TCGETS2, &settings) != 0) return fail_errno("TCGETS2");
  if (ioctl(fds.master, TIOCGPKT, &packet_mode) != 0) return fail_errno("TIOCGPKT");
  TRY(check_can_peek(fds, settings, packet_mode != 0));
  struct pollfd ready = {fds.master, POLLIN, 0};
  const bool output = poll(&ready, 1, 0) == 1 && unread_bytes(fds.master) != 0;
  const bool line_mode = (settings.c_lflag & ICANON) != 0;
  // In raw mode nothing can hide; the line being typed shows to nobody.
  if (!output && !line_mode) {
    struct pollfd input = {fds.slave, POLLIN, 0};
    (void)poll(&input, 1, 0);
    if (unread_bytes(fds.slave) == 0) return {};
  }
  if (!TRY(kernel::this_privileges()).has(CAP_SYS_ADMIN))
    return refuse("pseudoterminal can't be looked into without CAP_SYS_ADMIN");
  const auto shared = TRY(map_shared());
  TRY(run_in_child(fds, settings, packet_mode != 0, *shared));
  store(shared->queues, state);
  return {};
}

Result<void> fill_pty(PtyFds fds, const pb::PtyState& state) {
  struct termios2 settings;
  if (state.termios().size() != sizeof settings)
    return fail(ErrorKind::kImages, "terminal settings of an unknown size");
  std::memcpy(&settings, state.termios().data(), sizeof settings);
  if (state.to_slave().empty() && state.to_master().empty()) {
    if (ioctl(fds.slave, TCSETS2, &settings) != 0) return fail_errno("TCSETS2");
    return {};
  }
  const auto queues = std::make_unique<PtyQueues>();
  TRY(load(state, *queues));
  PtyLine line(fds, settings, *queues);
  // Its flags are set later like those of every description.
  if (fcntl(fds.master, F_SETFL, O_NONBLOCK) != 0) return fail_errno("F_SETFL");
  if (line.put_input() && line.put_output()) return {};
  return fail_errno(line.failure().error, line.failure().what);
}

}  // namespace cryostat::files
