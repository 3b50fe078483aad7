#include "engine/restore/births.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/restore/clone_with_pid.h"

namespace cryostat::restore {

namespace {

using task::Birth;

// The kernel takes the caller's own exit signal with CLONE_PARENT and refuses another (clone(2)).
int exit_signal_of(const BirthInputs& inputs, const Birth& birth) {
  if (birth.by_sibling) return 0;
  if (birth.is_placeholder()) return SIGCHLD;
  return static_cast<int>(inputs.tasks[birth.task].task.exit_signal());
}

// Enough for all hosted code; gone with the rest of its memory.
constexpr size_t kStackBytes = 1 << 20;

struct Start {
  const std::function<void(size_t)>* be;
  size_t index;
};

extern "C" [[noreturn]] void begin_in_shared_memory(const Start* start) {
  (*start->be)(start->index);
  _exit(1);
}

// clone3(2) of a process that has our memory and begins on a stack of its own. It has our turn;
// returns when it gives it away for the first time. -errno when there is none.
long clone_into_memory(const BirthInputs& inputs, clone_args args, const Start& start,
                       uint32_t turn) {
  void* const stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) return -errno;
  args.stack = reinterpret_cast<uint64_t>(stack);
  args.stack_size = kStackBytes;
  long result;
  register const Start* r12 asm("r12") = &start;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "movq %%r12, %%rdi\n\t"
      "callq *%[begin]\n\t"
      "ud2\n\t"
      "1:\n\t"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(&args), "S"(sizeof(args)),
        "r"(r12), [begin] "b"(begin_in_shared_memory)
      : "rcx", "r11", "memory");
  if (result > 0) inputs.rendezvous.take_turn(turn);
  return result;
}

Result<void> fork_births(const BirthInputs& inputs, const std::vector<size_t>& births,
                         uint32_t turn, const std::function<void(size_t)>& be) {
  for (const size_t index : births) {
    const Birth& birth = inputs.plan.births[index];
    const clone_args args =
        fork_args(&birth.pid, CLONE_PTRACE | birth.share | (birth.by_sibling ? CLONE_PARENT : 0),
                  exit_signal_of(inputs, birth));
    const int error = TRY(clone_when_free(HostPid(birth.pid), [&]() -> Result<int> {
      clone_args own = args;
      if ((birth.share & CLONE_VM) != 0) {
        const long made = clone_into_memory(inputs, own, {&be, index}, turn);
        return made < 0 ? static_cast<int>(-made) : 0;
      }
      const long result = syscall(SYS_clone3, &own, sizeof(own));
      if (result == 0) be(index);
      return result < 0 ? errno : 0;
    }));
    if (error != 0) return clone_failed(error, HostPid(birth.pid));
  }
  return {};
}

// Of the session that a process leads.
const files::ControllingPty* terminal_of(const BirthInputs& inputs, const Birth& birth) {
  const auto found = std::ranges::find_if(inputs.terminals, [&](const auto& terminal) {
    return birth.leads_session && terminal.session == birth.pid;
  });
  return found == inputs.terminals.end() ? nullptr : &*found;
}

// With its terminal: whom it forks from now on inherits both.
Result<void> enter_session(const BirthInputs& inputs, const Birth& birth) {
  if (!birth.leads_session) return {};
  if (setsid() < 0) return fail_errno("make a session of its own");
  if (const auto* terminal = terminal_of(inputs, birth))
    TRY(files::take_controlling_terminal(terminal->master.get()));
  return {};
}

// While every group has a process, be it a placeholder.
Result<void> settle_terminal(const BirthInputs& inputs, const Birth& birth) {
  if (birth.gives_up_terminal) return files::give_up_terminal();
  const auto* terminal = terminal_of(inputs, birth);
  if (terminal == nullptr || terminal->foreground_group == 0) return {};
  return files::set_foreground_group(terminal->foreground_group);
}

Result<void> join_group(pid_t group) {
  if (getpgrp() == group) return {};
  if (setpgid(0, group) < 0) return fail_errno(fmt::format("join process group {}", group));
  return {};
}

Result<void> wait_for_end(pid_t pid, int options) {
  siginfo_t info;
  while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | __WALL | options) != 0) {
    if (errno != EINTR) return fail_errno(fmt::format("wait for process {} to end", pid));
  }
  return {};
}

// Ends the way the zombie did. No core is written: the one there was is the user's.
[[noreturn]] void become_zombie(const pb::Zombie& zombie) {
  prctl(PR_SET_NAME, zombie.comm().c_str());
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  const uid_t uid = zombie.uid();
  if (uid != getuid()) (void)syscall(SYS_setresuid, uid, uid, uid);
  const auto status = static_cast<int>(zombie.wait_status());
  if (!WIFSIGNALED(status)) syscall(SYS_exit_group, WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  ::signal(signal, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  // libc's raise(3) keeps the number of the process it was forked from.
  syscall(SYS_kill, getpid(), signal);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  for (;;) pause();
}

// What the ends of placeholders and zombies have left pending: ignoring a signal drops it, and the
// default for this one is to ignore it. What was pending at the dump is queued later.
void drop_child_signals() { signal(SIGCHLD, SIG_DFL); }

// Only who joins another's group waits for that one.
Result<void> meet_plainly(const BirthInputs& inputs, const Birth& birth, uint32_t everybody) {
  if (birth.group == Birth::kOutside) TRY(join_group(inputs.outside_group));
  if (birth.group <= 0 || getpgrp() == birth.group) {
    inputs.rendezvous.pass(Rendezvous::Point::kBorn, everybody);
    return {};
  }
  inputs.rendezvous.arrive(Rendezvous::Point::kBorn, everybody);
  return join_group(birth.group);
}

}  // namespace

bool is_plain(const BirthInputs& inputs) {
  const auto shares = [](const SharingRole& role) { return role.turn != Rendezvous::kNoTurn; };
  const auto is_odd = [&](const Birth& birth) {
    return birth.is_placeholder() || birth.gives_up_terminal || birth.leaves_group ||
           inputs.tasks[birth.task].task.has_zombie();
  };
  return inputs.plan.root_session == 0 && inputs.terminals.empty() &&
         std::ranges::none_of(inputs.plan.births, is_odd) &&
         std::ranges::none_of(inputs.roles, shares);
}

Result<void> be_born(const BirthInputs& inputs, size_t index,
                     const std::function<void(size_t)>& be) {
  const Birth& birth = inputs.plan.births[index];
  const auto everybody = static_cast<uint32_t>(inputs.plan.births.size());
  const uint32_t turn = inputs.turn_of(birth);
  if (!birth.is_placeholder() && inputs.tasks[birth.task].task.child_subreaper())
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);  // to adopt what zombies and placeholders leave
  const bool forks = !birth.before_session.empty() || !birth.after_session.empty();
  if (forks && inputs.before_forks) TRY(inputs.before_forks(index));
  TRY(fork_births(inputs, birth.before_session, turn, be));
  TRY(enter_session(inputs, birth));
  TRY(fork_births(inputs, birth.after_session, turn, be));
  if (birth.group == birth.pid || birth.leaves_group) TRY(join_group(birth.pid));
  if (everybody == 1) {
    if (birth.group == Birth::kOutside) TRY(join_group(inputs.outside_group));
    return settle_terminal(inputs, birth);
  }
  if (inputs.is_plain) return meet_plainly(inputs, birth, everybody);
  inputs.rendezvous.arrive(Rendezvous::Point::kBorn, everybody, turn);
  TRY(settle_terminal(inputs, birth));
  if (birth.group == Birth::kOutside) TRY(join_group(inputs.outside_group));
  if (birth.group > 0 && !birth.leaves_group) TRY(join_group(birth.group));
  if (inputs.plan.has_leavers) {
    inputs.rendezvous.arrive(Rendezvous::Point::kJoined, everybody, turn);
    if (birth.leaves_group) TRY(join_group(birth.group));
  }
  inputs.rendezvous.arrive(Rendezvous::Point::kGrouped, everybody, turn);
  if (birth.is_placeholder()) _exit(0);
  for (const size_t placeholder : birth.placeholders)
    TRY(wait_for_end(inputs.plan.births[placeholder].pid, 0));
  const pb::Task& task = inputs.tasks[birth.task].task;
  if (task.has_zombie()) become_zombie(task.zombie());
  for (const size_t zombie : birth.zombies)
    TRY(wait_for_end(inputs.plan.births[zombie].pid, WNOWAIT));
  drop_child_signals();
  return {};
}

}  // namespace cryostat::restore
