#include "engine/infect/infected_task.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "engine/arch/x86_64/registers.h"
#include "engine/base/log.h"
#include "engine/base/unique_fd.h"
#include "engine/infect/blob_thread.h"
#include "engine/infect/parasite_area.h"
#include "engine/infect/remote_syscall.h"
#include "engine/infect/stop_signal.h"
#include "engine/infect/syscall_stub.h"
#include "engine/infect/thread_origin.h"
#include "engine/infect/thread_round.h"
#include "engine/kernel/process_memory.h"
#include "engine/kernel/raw_syscall.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"
#include "engine/ptrace/tracee.h"

namespace cryostat {
namespace {

using wire::ParasiteHeader;
using wire::ParasiteOp;

// A call that only asks the kernel for state. Page transfer has no limit of its own: it is watched
// by the stop request.
constexpr std::chrono::seconds kCallTimeout(30);
constexpr std::chrono::hours kTransferTimeout(24);
constexpr std::chrono::seconds kRemoteSyscallTimeout(10);
const StopRequest kNoStopRequest;
constexpr int kShadowStackRegisters = 0x204;  // NT_X86_SHSTK, 6.6

// The part of the header that one call uses: what is asked …
struct CallRequest {
  ParasiteOp op;
  uint32_t done;
  uint64_t data_offset;
  int32_t error;
  int32_t result_fd;
};
// … and what is answered.
struct CallPart : CallRequest {
  int32_t channel[2];
};
constexpr size_t kCallOffset = offsetof(ParasiteHeader, op);
static_assert(sizeof(CallRequest) == offsetof(ParasiteHeader, channel) - kCallOffset);

// Threads in which running other code would be seen or would fail.
Result<void> check_infectable(const SeizedTask& task) {
  const int pid = task.pid().value;
  if (!arch::is_64bit_code(task.leader().registers)) {
    return fail(ErrorKind::kRefused, fmt::format("pid {}: not in 64-bit mode", pid));
  }
  // The shadow stack pointer is not among the registers that are restored.
  uint64_t pointer = 0;
  iovec area{&pointer, sizeof(pointer)};
  if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, kShadowStackRegisters, &area) == 0) {
    return fail(ErrorKind::kRefused, fmt::format("pid {}: a shadow stack is on", pid));
  }
  for (const SavedThread& thread : task.threads()) {
    if (!TRY(ptrace::has_syscall_user_dispatch(thread.tid))) continue;
    return fail(ErrorKind::kRefused, fmt::format("pid {} thread {}: syscall user dispatch is on",
                                                 pid, thread.tid.value));
  }
  return {};
}

Result<int64_t> check_remote(Result<int64_t> result, const char* what, HostPid pid) {
  const int64_t value = TRY(std::move(result));
  if (!is_syscall_error(value)) return value;
  const std::string text = fmt::format("{} in pid {}", what, pid.value);
  if (value == -ENOMEM || value == -EAGAIN) {
    return tl::unexpected(Error::from_errno(static_cast<int>(-value), text)
                              .as(ErrorKind::kRefused)
                              .with_hint("a limit of the task (address space, locked memory or "
                                         "number of mappings) leaves no room for the parasite"));
  }
  return fail_errno(static_cast<int>(-value), text);
}

Result<void> send_descriptor(int channel, int fd) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
  if (sendmsg(channel, &message, MSG_NOSIGNAL) == 1) return {};
  return fail_errno("send a descriptor to the parasite");
}

}  // namespace

class InfectedTask::Impl {
 public:
  Impl(SeizedTask& seized, const StopRequest& stop) : seized_(seized), stop_(stop) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void> inject(const Deadline& deadline, StubRoom room);
  Result<void> call(ParasiteOp op, uint64_t data_offset);
  Result<std::vector<wire::ThreadStateReport>> collect_thread_states();
  bool open_channel();
  Result<RemoteFd> send_fd(int fd);
  Result<void> close_fd(RemoteFd fd);
  Result<int64_t> remote_syscall(int64_t number, const std::array<uint64_t, 6>& arguments);
  Result<void> cure();

  HostPid pid() const { return seized_.pid(); }
  const ParasiteArea& area() const { return area_; }
  bool infected() const { return changed_; }

 private:
  Result<void> map_area();
  Result<void> park();
  Result<void> load_area();
  Result<void> load_text_under_mdwe();
  Result<CallPart> run_call(ParasiteOp op, uint64_t data_offset, int32_t fd);
  Result<void> set_threads_inside(size_t count);
  Result<void> close_remote_fds();
  Result<void> unmap_area();
  Result<void> restore_leader();

  const SavedThread& leader() const { return seized_.leader(); }

  SeizedTask& seized_;
  const StopRequest& stop_;
  SyscallStub stub_;
  ParasiteArea area_;
  int stop_signal_ = 0;
  bool changed_ = false;  // the leader's registers or mask are not as saved
  bool mapped_ = false;
  bool executable_ = false;       // the whole area is
  bool vectors_touched_ = false;  // all else runs on general registers (cmake/Blob.cmake)
  bool broken_ = false;           // the parasite faulted or was broken off
  UniqueFd channel_;
  bool channel_tried_ = false;  // descriptors may be open in the target
  std::optional<wire::ThreadStateReport> leader_report_;
};

Result<void> InfectedTask::Impl::inject(const Deadline& deadline, StubRoom room) {
  TRY(check_infectable(seized_));
  TRY(stop_.check());
  if (deadline.expired()) return fail(ErrorKind::kFailed, "timed out before the injection");
  stop_signal_ = choose_stop_signal(*TRY(seized_.status()));
  changed_ = true;
  stub_ = TRY(SyscallStub::place(seized_.task(), leader(), room));
  TRY(map_area());
  TRY(load_area());
  // The first call: from now on the leader stands in the parasite and finds its way back alone.
  leader_report_.emplace();
  TRY(call(ParasiteOp::kCollectThread, 0));
  return kernel::read_memory(pid(), area_.data(),
                             std::as_writable_bytes(std::span(&*leader_report_, 1)));
}

Result<void> InfectedTask::Impl::map_area() {
  area_.slots = std::min(seized_.threads().size() - 1, ParasiteArea::kMaxSlots);
  // Shared, though nobody shares it: the kernel merges private mappings with neighbours of the
  // target.
  const auto map = [this](uint64_t protection) {
    return remote_syscall(
        SYS_mmap, {0, area_.size_bytes(), protection, MAP_SHARED | MAP_ANONYMOUS, ~uint64_t{0}, 0});
  };
  // Where that is allowed, writable and executable from the start: a second call would take as long
  // as all the parasite does in its first.
  int64_t address = TRY(map(PROT_READ | PROT_WRITE | PROT_EXEC));
  executable_ = !is_syscall_error(address);
  if (address == -EACCES || address == -EPERM) address = TRY(map(PROT_READ | PROT_WRITE));
  TRY(check_remote(address, "map the parasite", pid()));
  area_.start = RemoteAddr(static_cast<uint64_t>(address));
  mapped_ = true;
  return park();
}

Result<void> InfectedTask::Impl::load_area() {
  const BlobImage& blob = parasite_blob::image();
  wire::ParasiteHeader header{};
  header.area_start = area_.start.value;
  header.area_end = area_.end().value;
  header.return_stub = stub_.has_way_back() ? stub_.address().value : 0;
  header.stop_signal = stop_signal_;
  header.xsave = this_xsave_layout();
  header.origin = make_thread_origin(leader());
  header.data_address = area_.data().value;
  const size_t header_bytes = offsetof(ParasiteHeader, frame);
  const kernel::WritePart parts[] = {
      {std::as_bytes(blob.bytes), area_.start},
      {std::as_bytes(std::span(&header, 1)).first(header_bytes), area_.header()}};
  TRY_IN(kernel::write_memory(pid(), parts), "load the parasite");
  if (executable_) return {};
  const int64_t protected_now = TRY(remote_syscall(
      SYS_mprotect, {area_.start.value, blob.text_bytes, PROT_READ | PROT_EXEC, 0, 0, 0}));
  if (protected_now == -EACCES) return load_text_under_mdwe();
  TRY(check_remote(protected_now, "make the parasite executable", pid()));
  return {};
}

// A task under PR_SET_MDWE never makes executable what could be written before. A fresh mapping may
// be executable, and a tracer may write to it (FOLL_FORCE, which needs it to be private).
Result<void> InfectedTask::Impl::load_text_under_mdwe() {
  const auto text = parasite_blob::image().bytes.first(parasite_blob::image().text_bytes);
  const int64_t address = TRY(check_remote(
      remote_syscall(SYS_mmap, {area_.start.value, text.size(), PROT_READ | PROT_EXEC,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, ~uint64_t{0}, 0}),
      "map the parasite executable", pid()));
  const UniqueFd memory = TRY(seized_.task().proc().open_file("mem", O_RDWR));
  const ssize_t put = pwrite(memory.get(), text.data(), text.size(), static_cast<off_t>(address));
  if (put == static_cast<ssize_t>(text.size())) return {};
  return fail_errno(put < 0 ? errno : EIO,
                    fmt::format("load the parasite into pid {}", pid().value));
}

Result<CallPart> InfectedTask::Impl::run_call(ParasiteOp op, uint64_t data_offset, int32_t fd) {
  if (!mapped_ || broken_) {
    return fail(ErrorKind::kFailed, fmt::format("the parasite in pid {} is gone", pid().value));
  }
  const RemoteAddr part_address = area_.header() + kCallOffset;
  TRY(kernel::write_object(pid(), CallRequest{op, 0, data_offset, 0, fd}, part_address));

  const BlobRun run{area_.start + parasite_blob::parasite_call_entry, area_.header(),
                    area_.stack_top(), area_.header() + offsetof(ParasiteHeader, done),
                    stop_signal_};
  BlobThread thread(pid(), leader());
  const bool transfer = op == ParasiteOp::kWritePages;
  if (transfer) vectors_touched_ = true;
  const bool moves_memory = transfer || op == ParasiteOp::kCopyMemory;
  const Deadline deadline =
      moves_memory ? Deadline::in(kTransferTimeout) : Deadline::in(kCallTimeout);
  broken_ = true;  // until it came back
  TRY(thread.start(run));
  // The others take microseconds, and broken off they would leave descriptors nobody knows of.
  TRY(thread.finish(run, deadline, transfer ? stop_ : kNoStopRequest));
  TRY(thread.requeue_foreign());
  broken_ = false;
  return kernel::read_object<CallPart>(pid(), part_address);
}

Result<void> InfectedTask::Impl::call(ParasiteOp op, uint64_t data_offset) {
  const CallPart part = TRY(run_call(op, data_offset, -1));
  if (part.error == 0) return {};
  return fail_errno(-part.error, fmt::format("parasite operation {} in pid {}",
                                             static_cast<uint32_t>(op), pid().value));
}

Result<std::vector<wire::ThreadStateReport>> InfectedTask::Impl::collect_thread_states() {
  if (!mapped_ || broken_) {
    return fail(ErrorKind::kFailed, fmt::format("the parasite in pid {} is gone", pid().value));
  }
  std::vector<wire::ThreadStateReport> reports{*leader_report_};
  reports.reserve(seized_.threads().size());
  auto rest = seized_.threads().subspan(1);
  while (!rest.empty()) {
    const auto round = rest.first(std::min(rest.size(), area_.slots));
    rest = rest.subspan(round.size());
    TRY(set_threads_inside(round.size()));
    TRY(run_thread_round(pid(), area_, stop_signal_, round, Deadline::in(kCallTimeout), stop_,
                         reports));
    TRY(set_threads_inside(0));
  }
  return reports;
}

Result<void> InfectedTask::Impl::set_threads_inside(size_t count) {
  return kernel::write_object(pid(), static_cast<uint32_t>(count),
                              area_.header() + offsetof(ParasiteHeader, threads_inside));
}

bool InfectedTask::Impl::open_channel() {
  if (channel_.valid()) return true;
  channel_tried_ = true;
  const auto part = run_call(ParasiteOp::kOpenChannel, 0, -1);
  if (!part.has_value() || part->error != 0) {
    log::debug("no channel to the parasite in pid {}: {}", pid().value,
               part.has_value() ? errno_name(-part->error) : part.error().message());
    return false;
  }
  auto ours = seized_.task().get_fd(RemoteFd(part->channel[1]));
  if (!ours.has_value()) {
    log::debug("no channel to the parasite: {}", ours.error().message());
    return false;
  }
  channel_ = std::move(*ours);
  return true;
}

Result<RemoteFd> InfectedTask::Impl::send_fd(int fd) {
  if (!open_channel()) {
    return fail(ErrorKind::kFailed,
                fmt::format("pid {} can't take a descriptor: its table is full", pid().value));
  }
  TRY(send_descriptor(channel_.get(), fd));
  const CallPart part = TRY(run_call(ParasiteOp::kReceiveFd, 0, -1));
  if (part.error != 0) {
    return fail_errno(-part.error, fmt::format("give a descriptor to pid {}", pid().value));
  }
  return RemoteFd(part.result_fd);
}

Result<void> InfectedTask::Impl::close_fd(RemoteFd fd) {
  const CallPart part = TRY(run_call(ParasiteOp::kCloseFd, 0, fd.value));
  if (part.error == 0) return {};
  return fail_errno(-part.error, fmt::format("close fd {} in pid {}", fd.value, pid().value));
}

Result<int64_t> InfectedTask::Impl::remote_syscall(int64_t number,
                                                   const std::array<uint64_t, 6>& arguments) {
  const int64_t result =
      TRY(cryostat::remote_syscall(leader().tid, resumed_registers(leader()), stub_.address(),
                                   number, arguments, Deadline::in(kRemoteSyscallTimeout)));
  TRY(park());
  return result;
}

// Between remote calls the leader stands before a munmap of the area: let go by the death of the
// engine, it makes that call and returns through the stub.
Result<void> InfectedTask::Impl::park() {
  if (!mapped_ || !stub_.has_way_back()) return {};
  user_regs_struct registers = resumed_registers(leader());
  arch::prepare_system_call(registers, stub_.address().value, SYS_munmap,
                            {area_.start.value, area_.size_bytes(), 0, 0, 0, 0});
  return ptrace::set_registers(leader().tid, registers);
}

Result<void> InfectedTask::Impl::close_remote_fds() {
  channel_.reset();
  if (!channel_tried_) return {};
  channel_tried_ = false;
  if (!broken_ && call(ParasiteOp::kCloseAll, 0).has_value()) return {};
  // The parasite does not answer, but its notes tell what is open.
  constexpr size_t kChannel = offsetof(ParasiteHeader, channel);
  static_assert(offsetof(ParasiteHeader, received) == kChannel + 2 * sizeof(int32_t));
  const auto open =
      TRY((kernel::read_object<std::array<int32_t, 6>>(pid(), area_.header() + kChannel)));
  for (const int32_t fd : open) {
    if (fd < 0) continue;
    TRY(check_remote(remote_syscall(SYS_close, {static_cast<uint64_t>(fd), 0, 0, 0, 0, 0}),
                     "close a descriptor", pid()));
  }
  return {};
}

Result<void> InfectedTask::Impl::unmap_area() {
  if (!mapped_) return {};
  mapped_ = false;
  TRY(check_remote(remote_syscall(SYS_munmap, {area_.start.value, area_.size_bytes(), 0, 0, 0, 0}),
                   "unmap the parasite", pid()));
  return {};
}

Result<void> InfectedTask::Impl::restore_leader() {
  // Registers last: until then the thread, if let go, returns through the stub.
  const auto extended =
      vectors_touched_ ? ptrace::set_xstate(leader().tid, leader().xstate) : Result<void>{};
  const auto mask = ptrace::set_signal_mask(leader().tid, leader().signal_mask);
  TRY(ptrace::set_registers(leader().tid, leader().registers));
  TRY(extended);
  TRY(mask);
  return stub_.remove();
}

Result<void> InfectedTask::Impl::cure() {
  if (!changed_) return {};
  changed_ = false;
  const auto closed = close_remote_fds();
  const auto unmapped = unmap_area();
  // The registers matter most: they go back whatever failed before.
  TRY_IN(restore_leader(), fmt::format("cure pid {}", pid().value));
  TRY_IN(closed, fmt::format("cure pid {}", pid().value));
  TRY_IN(unmapped, fmt::format("cure pid {}", pid().value));
  return {};
}

InfectedTask::InfectedTask(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
InfectedTask::InfectedTask(InfectedTask&&) noexcept = default;

InfectedTask::~InfectedTask() {
  if (impl_ == nullptr || !impl_->infected()) return;
  const auto cured = impl_->cure();
  if (!cured.has_value()) log::warn("{}", cured.error().message());
}

Result<InfectedTask> InfectedTask::inject(SeizedTask& seized, const Deadline& deadline,
                                          const StopRequest& stop, StubRoom room) {
  InfectedTask task(std::make_unique<Impl>(seized, stop));
  // On an error the destructor cures what was changed so far.
  TRY_IN(task.impl_->inject(deadline, room), fmt::format("infect pid {}", seized.pid().value));
  return task;
}

RemoteAddr InfectedTask::area_start() const { return impl_->area().start; }
RemoteAddr InfectedTask::area_end() const { return impl_->area().end(); }

RemoteAddr InfectedTask::data_address() const { return impl_->area().data(); }

Result<void> InfectedTask::write_data(uint64_t offset, std::span<const std::byte> bytes) {
  if (offset > data_bytes() || bytes.size() > data_bytes() - offset) {
    return fail(ErrorKind::kFailed, "write beyond the parasite's data part");
  }
  return kernel::write_memory(impl_->pid(), bytes, impl_->area().data() + offset);
}

Result<void> InfectedTask::read_data(uint64_t offset, std::span<std::byte> bytes) {
  if (offset > data_bytes() || bytes.size() > data_bytes() - offset) {
    return fail(ErrorKind::kFailed, "read beyond the parasite's data part");
  }
  return kernel::read_memory(impl_->pid(), impl_->area().data() + offset, bytes);
}

Result<void> InfectedTask::call(ParasiteOp op, uint64_t data_offset) {
  return impl_->call(op, data_offset);
}
Result<std::vector<wire::ThreadStateReport>> InfectedTask::collect_thread_states() {
  return impl_->collect_thread_states();
}
bool InfectedTask::can_receive_fds() { return impl_->open_channel(); }
Result<RemoteFd> InfectedTask::send_fd(int fd) { return impl_->send_fd(fd); }
Result<void> InfectedTask::close_fd(RemoteFd fd) { return impl_->close_fd(fd); }
Result<int64_t> InfectedTask::remote_syscall(int64_t number,
                                             const std::array<uint64_t, 6>& arguments) {
  return impl_->remote_syscall(number, arguments);
}
Result<void> InfectedTask::cure() { return impl_->cure(); }

}  // namespace cryostat
