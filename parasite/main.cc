// Entry points of the parasite. Each is entered by the engine with a stack of its own, all signals
// but the stop signal blocked, and never returns.
#include <errno.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstdint>

#include "engine/kernel/raw_syscall.h"
#include "parasite/channel.h"
#include "parasite/memory_copy.h"
#include "parasite/memory_policy.h"
#include "parasite/self_cure.h"
#include "parasite/task_state.h"
#include "parasite/thread_state.h"
#include "parasite/transfer.h"
#include "proto/wire/parasite.h"

namespace cryostat::parasite {
namespace {

int run(wire::ParasiteHeader* header) {
  if (header->magic != wire::kParasiteMagic || header->version != wire::kParasiteVersion)
    return -EPROTO;
  if (header->data_offset > wire::kParasiteDataBytes) return -EINVAL;
  auto* const data = reinterpret_cast<unsigned char*>(header->data_address) + header->data_offset;
  switch (header->op) {
    case wire::ParasiteOp::kPing:
      return 0;
    case wire::ParasiteOp::kCollectTask:
      return collect_task_state(reinterpret_cast<wire::TaskStateReport*>(data));
    case wire::ParasiteOp::kWritePages:
      return write_pages(data, wire::kParasiteDataBytes - header->data_offset);
    case wire::ParasiteOp::kOpenChannel:
      return open_channel(header);
    case wire::ParasiteOp::kReceiveFd:
      return receive_fd(header);
    case wire::ParasiteOp::kCloseFd:
      return close_received_fd(header);
    case wire::ParasiteOp::kCloseAll:
      close_everything(header);
      return 0;
    case wire::ParasiteOp::kCollectThread:
      collect_thread_state(reinterpret_cast<wire::ThreadStateReport*>(data));
      return 0;
    case wire::ParasiteOp::kCopyMemory:
      return copy_memory(reinterpret_cast<wire::MemoryCopyRequest*>(data),
                         wire::kParasiteDataBytes - header->data_offset);
    case wire::ParasiteOp::kFindPolicies:
      return find_policies(reinterpret_cast<wire::PolicyRequest*>(data),
                           wire::kParasiteDataBytes - header->data_offset);
  }
  return -ENOSYS;
}

// Stops this thread for its tracer. Comes back only when there is none (any more): the target
// ignores the signal.
void stop_for_tracer(uint32_t& done, int signal) {
  std::atomic_ref(done).store(1, std::memory_order_release);
  const long pid = raw_syscall(SYS_getpid);
  const long tid = raw_syscall(SYS_gettid);
  raw_syscall(SYS_tgkill, static_cast<uint64_t>(pid), static_cast<uint64_t>(tid),
              static_cast<uint64_t>(signal));
}

}  // namespace
}  // namespace cryostat::parasite

using namespace cryostat;

// One operation of the main thread, named by the header.
extern "C" [[noreturn]] void parasite_call_entry(wire::ParasiteHeader* header) {
  // Before any operation touches a vector register.
  if (header->frame_ready == 0) {
    parasite::prepare_frame(header->frame, header->origin, header->xsave);
    header->frame_ready = 1;
  }
  header->error = parasite::run(header);
  parasite::stop_for_tracer(header->done, header->stop_signal);
  parasite::close_everything(header);
  if (header->threads_inside != 0) parasite::return_to_origin(header->frame, nullptr, 0);
  if (header->return_stub != 0) parasite::return_through_stub(header);
  auto* const after_header = reinterpret_cast<unsigned char*>(header + 1);
  auto* const rest = reinterpret_cast<unsigned char*>(
      (reinterpret_cast<uint64_t>(after_header) + 4095) & ~uint64_t{4095});
  parasite::return_to_origin(header->frame, rest,
                             header->area_end - reinterpret_cast<uint64_t>(rest));
}

// One thread reports its state.
extern "C" [[noreturn]] void parasite_thread_entry(wire::ThreadSlot* slot) {
  parasite::collect_thread_state(&slot->report);
  parasite::stop_for_tracer(slot->done, slot->stop_signal);
  parasite::prepare_frame(slot->frame, slot->origin, slot->xsave);
  parasite::return_to_origin(slot->frame, nullptr, 0);
}
