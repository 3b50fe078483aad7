#include "engine/infect/syscall_stub.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "engine/arch/x86_64/return_stub.h"
#include "engine/arch/x86_64/vdso.h"
#include "engine/base/log.h"
#include "engine/infect/remote_syscall.h"
#include "engine/infect/thread_origin.h"
#include "engine/procfs/auxv.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"

namespace cryostat {
namespace {

constexpr size_t kMaxVdsoBytes = 16 * kPageSize;
constexpr size_t kStubAlignment = 16;

// Where a stub fits: behind what is used, in bytes that are zero up to the end of the page. The
// stub of an engine that died is left alone as long as there is room beside it, since a thread may
// still be on its way through; then the one placed last is used again.
std::optional<uint64_t> find_room(std::span<const unsigned char> image, StubRoom room) {
  constexpr uint64_t kStep =
      (arch::kReturnStubBytes + kStubAlignment - 1) / kStubAlignment * kStubAlignment;
  const auto end = arch::used_vdso_bytes(image);
  if (!end.has_value() || *end == 0 || page_align_up(*end) > image.size()) return std::nullopt;
  std::optional<uint64_t> last_stub;
  for (uint64_t at = page_align_up(*end); at >= *end + kStep;) {
    at -= kStep;
    const auto bytes = image.subspan(at, kStep);
    if (std::all_of(bytes.begin(), bytes.end(), [](unsigned char b) { return b == 0; })) return at;
    if (!arch::is_return_stub(bytes)) break;
    if (room == StubRoom::kAny) last_stub = at;
  }
  return last_stub;
}

// The image with all that its headers tell of, in whole pages; less when it can't be read.
std::vector<unsigned char> read_image(int memory, uint64_t address) {
  // The usual size; a larger one is read a second time.
  std::vector<unsigned char> image(2 * kPageSize);
  for (;;) {
    const ssize_t got = pread(memory, image.data(), image.size(), static_cast<off_t>(address));
    if (got != static_cast<ssize_t>(image.size())) {
      image.resize(got > 0 ? static_cast<size_t>(got) : 0);
      return image;
    }
    const uint64_t bytes =
        std::min<uint64_t>(arch::used_vdso_bytes(image).value_or(0), kMaxVdsoBytes);
    if (page_align_up(bytes) <= image.size()) return image;
    image.resize(page_align_up(bytes));
  }
}

}  // namespace

Result<SyscallStub> SyscallStub::place(const TaskHandle& task, const SavedThread& thread,
                                       StubRoom room) {
  SyscallStub stub;
  const auto auxv = TRY(procfs::parse_auxv(TRY(task.proc().read("auxv"))));
  const auto vdso = procfs::find_aux(auxv, AT_SYSINFO_EHDR);
  if (vdso.has_value()) {
    UniqueFd memory = TRY(task.proc().open_file("mem", O_RDWR));
    if (const auto offset = find_room(read_image(memory.get(), *vdso), room)) {
      const uint64_t address = *vdso + *offset;
      const auto code =
          arch::make_return_stub(address, resumed_registers(thread), thread.signal_mask);
      const ssize_t put =
          pwrite(memory.get(), code.data(), code.size(), static_cast<off_t>(address));
      if (put == static_cast<ssize_t>(code.size())) {
        stub.address_ = RemoteAddr(address);
        stub.memory_ = std::move(memory);
        return stub;
      }
    }
  }
  log::debug("pid {}: no room for a return stub behind the vDSO", task.pid().value);
  stub.address_ = TRY(find_remote_syscall_insn(task));
  return stub;
}

Result<void> SyscallStub::remove() {
  if (!memory_.valid()) return {};
  const UniqueFd memory = std::move(memory_);
  const std::array<unsigned char, arch::kReturnStubBytes> zeros{};
  const ssize_t put =
      pwrite(memory.get(), zeros.data(), zeros.size(), static_cast<off_t>(address_.value));
  if (put == static_cast<ssize_t>(zeros.size())) return {};
  return fail_errno("remove the return stub behind the vDSO");
}

}  // namespace cryostat
