// A target made by hand: two stretches of memory and a tiny program, restored without images of a
// real process. What the program does is seen through the shared page.
#pragma once

#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/unique_fd.h"
#include "engine/image/page_sum.h"
#include "engine/restore/create_task.h"
#include "proto/mm.pb.h"
#include "proto/task.pb.h"

namespace cryostat::restore {

inline constexpr uint64_t kFakeCode = 0x200000000;
inline constexpr uint64_t kFakeShared = 0x200100000;
// Of each of the two.
inline constexpr uint64_t kFakeBytes = 16384;

class FakeTarget {
 public:
  // `code`: position-independent machine code, entered by every thread with its index in rdi and
  // kFakeShared in rsi; no stack.
  FakeTarget(pid_t pid, const void* code, size_t code_bytes, int thread_count)
      : pages_(memfd_create("pages", MFD_CLOEXEC)),
        shared_fd_(memfd_create("shared", MFD_CLOEXEC)) {
    (void)!ftruncate(pages_.get(), kFakeBytes);
    (void)!ftruncate(shared_fd_.get(), kFakeBytes);
    (void)!pwrite(pages_.get(), code, code_bytes, 0);
    write_sums();
    shared_ = mmap(nullptr, kFakeBytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd_.get(), 0);
    task_.set_pid(pid);
    for (int i = 0; i < thread_count; ++i) threads_.push_back(make_thread(pid + i, i));
    pages_number_ = pages_.get();
    shared_number_ = shared_fd_.get();
  }
  ~FakeTarget() { munmap(shared_, kFakeBytes); }

  volatile uint64_t* words() { return static_cast<volatile uint64_t*>(shared_); }
  std::vector<pb::Thread>& threads() { return threads_; }
  pb::Task& task() { return task_; }
  std::vector<Tid> tids() const {
    std::vector<Tid> tids;
    for (const pb::Thread& thread : threads_) tids.emplace_back(thread.tid());
    return tids;
  }

  user_regs_struct registers(int index) {
    user_regs_struct registers{};
    std::memcpy(&registers, threads_[index].registers().general().data(), sizeof(registers));
    return registers;
  }
  void set_registers(int index, const user_regs_struct& registers) {
    threads_[index].mutable_registers()->set_general(&registers, sizeof(registers));
  }

  HostedPlan hosted_plan(VdsoChoice vdso) {
    HostedPlan plan;
    plan.target_ranges = {{kFakeCode, kFakeCode + kFakeBytes},
                          {kFakeShared, kFakeShared + kFakeBytes}};
    plan.vdso = std::move(vdso);
    plan.keep_fds = {&pages_number_, &shared_number_};
    plan.steps.push_back({"give up rseq", [](ChildContext&) -> Result<void> {
                            constexpr unsigned kUnregister = 1, kSignature = 0x53053053;
                            auto* self = static_cast<char*>(__builtin_thread_pointer());
                            syscall(SYS_rseq, self + __rseq_offset, 32, kUnregister, kSignature);
                            return {};
                          }});
    plan.fill_plan = [this](ChildContext&, WireArena& arena, wire::RestorerPlan& wire) {
      return fill(arena, wire);
    };
    return plan;
  }

  // A tree of it alone. It must outlive what is created from it.
  const HostedTree& hosted_tree(HostedPlan plan) {
    image_ = {{task_, threads_}};
    image_.front().task.set_outside_session(true);
    image_.front().task.set_outside_group(true);
    const pb::Task* tasks[] = {&image_.front().task};
    tree_plan_ = *task::plan_tree(tasks);
    BirthInputs births{tree_plan_, image_, rendezvous_, getpgrp()};
    tree_.emplace(HostedTree{births, [plan = std::move(plan)](size_t) { return plan; }, 1});
    return *tree_;
  }

 private:
  // The checksums of the pages lie behind them.
  void write_sums() {
    for (uint64_t at = 0; at < kFakeBytes; at += 4096) {
      unsigned char page[4096];
      (void)!pread(pages_.get(), page, sizeof(page), static_cast<off_t>(at));
      const image::PageSum sum = image::page_sum(page);
      (void)!pwrite(pages_.get(), &sum, sizeof(sum),
                    static_cast<off_t>(kFakeBytes + at / 4096 * sizeof(sum)));
    }
  }

  static pb::Thread make_thread(pid_t tid, int index) {
    pb::Thread thread;
    thread.set_tid(tid);
    user_regs_struct registers{};
    registers.rip = kFakeCode;
    registers.rdi = static_cast<uint64_t>(index);
    registers.rsi = kFakeShared;
    registers.rsp = kFakeShared + kFakeBytes;
    registers.cs = 0x33;
    registers.ss = 0x2b;
    registers.eflags = 0x202;
    registers.orig_rax = static_cast<uint64_t>(-1);
    thread.mutable_registers()->set_general(&registers, sizeof(registers));
    std::string xstate(2696, '\0');
    const uint16_t fcw = 0x37f;
    const uint32_t mxcsr = 0x1f80;
    std::memcpy(xstate.data(), &fcw, sizeof(fcw));
    std::memcpy(xstate.data() + 24, &mxcsr, sizeof(mxcsr));
    thread.mutable_registers()->set_xstate(xstate);
    return thread;
  }

  Result<void> fill(WireArena& arena, wire::RestorerPlan& plan) {
    const std::vector<wire::PlannedVma> vmas = {
        {.start = kFakeCode,
         .end = kFakeCode + kFakeBytes,
         .map_flags = MAP_PRIVATE | MAP_ANONYMOUS,
         .map_protection = PROT_READ | PROT_WRITE,
         .protection = PROT_READ | PROT_EXEC},
        {.start = kFakeShared,
         .end = kFakeShared + kFakeBytes,
         .fd = shared_number_,
         .map_flags = MAP_SHARED,
         .map_protection = PROT_READ | PROT_WRITE,
         .protection = PROT_READ | PROT_WRITE},
    };
    plan.memory.vmas = arena.append(vmas);
    plan.memory.fill_targets = arena.append(std::vector<wire::FillTarget>{{kFakeCode, kFakeBytes}});
    plan.memory.fill_batches = arena.append(std::vector<wire::FillBatch>{
        {.size_bytes = kFakeBytes, .first_target = 0, .target_count = 1}});
    plan.memory.stores =
        arena.append(std::vector<wire::PageStoreFds>{{pages_number_, pages_number_, kFakeBytes}});
    plan.memory.task_size = 0x7ffffffff000;
    auto& layout = plan.memory.layout;
    layout.start_code = layout.start_data = kFakeCode;
    layout.end_code = layout.end_data = kFakeCode + kFakeBytes;
    layout.start_brk = layout.brk = kFakeShared + 8192;
    layout.start_stack = layout.arg_start = layout.arg_end = kFakeShared;
    layout.env_start = layout.env_end = kFakeShared;
    plan.task.pid = task_.pid();
    plan.task.thread_count = static_cast<int32_t>(threads_.size());
    plan.threads = arena.reserve<wire::RestorerThread>(threads_.size());
    for (size_t i = 0; i < threads_.size(); ++i) {
      auto& thread = arena.at(plan.threads)[i];
      thread = wire::RestorerThread{};
      thread.tid = thread.state.tid = threads_[i].tid();
      thread.state.pid = task_.pid();
    }
    return {};
  }

  std::vector<pb::Thread> threads_;
  pb::Task task_;
  std::vector<image::TaskImage> image_;
  task::TreePlan tree_plan_;
  Rendezvous rendezvous_ = Rendezvous::create(1, 1).value();
  std::optional<HostedTree> tree_;
  UniqueFd pages_;
  UniqueFd shared_fd_;
  int pages_number_ = -1;  // in the child: where they are kept
  int shared_number_ = -1;
  void* shared_ = nullptr;
};

}  // namespace cryostat::restore
