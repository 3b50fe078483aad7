// Processes that share by clone(2) without being threads of one another: memory, descriptor table,
// working directory and umask, signal handlers, each alone (where the kernel allows) and together;
// siblings that share with one another only; a third generation.
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <vector>

#include "tests/victims/victim.h"

namespace {

// What a member is asked, in memory that all have.
struct Channel {
  int request;  // 0 nothing, else a letter
  long value;
};
Channel* g_channels;
int* g_private;  // one page of private memory, as the root sees it

struct Member {
  pid_t pid;
  pid_t parent;
  uint64_t flags;          // in common with the root
  int memory_partner = 0;  // it has the memory of the member this many before it
};

constexpr size_t kStackBytes = 128 << 10;

long call(long number, long a = 0, long b = 0, long c = 0) {
  long result;
  register long r10 asm("r10") = 0;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
               : "rcx", "r11", "memory");
  return result;
}

// Without libc: several of these processes have one thread control block.
void serve(Channel* channel) {
  for (;;) {
    if (__atomic_load_n(&channel->request, __ATOMIC_ACQUIRE) == 0) {
      const long pause[2] = {0, 1'000'000};
      call(SYS_nanosleep, reinterpret_cast<long>(pause));
      continue;
    }
    long value = 0;
    switch (channel->request) {
      case 'm':  // memory
        value = __atomic_add_fetch(g_private, 1, __ATOMIC_SEQ_CST);
        break;
      case 'f':  // descriptor 100 is open?
        value = call(SYS_fcntl, 100, F_GETFD) >= 0;
        break;
      case 'u':  // umask
        value = call(SYS_umask, 0);
        call(SYS_umask, value);
        break;
      case 's': {  // handler of SIGUSR2
        struct {
          unsigned long handler, flags, restorer, mask;
        } action = {};
        register long r10 asm("r10") = 8;
        long result;
        asm volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_rt_sigaction), "D"(SIGUSR2), "S"(0), "d"(&action), "r"(r10)
                     : "rcx", "r11", "memory");
        value = static_cast<long>(action.handler);
        break;
      }
      case 'p':
        value = call(SYS_getppid);
        break;
      case 'x':
        call(SYS_exit_group, 0);
    }
    channel->value = value;
    __atomic_store_n(&channel->request, 0, __ATOMIC_RELEASE);
  }
}

long ask(size_t member, int what) {
  Channel& channel = g_channels[member];
  __atomic_store_n(&channel.request, what, __ATOMIC_RELEASE);
  while (__atomic_load_n(&channel.request, __ATOMIC_ACQUIRE) != 0) victim::Victim::pause_ms(1);
  return channel.value;
}

struct Start {
  Channel* channel;
  uint64_t nested;  // not 0: it starts another one, with these flags
};

pid_t start(uint64_t flags, const Start& how);

int begin(void* raw) {
  const Start* const how = static_cast<Start*>(raw);
  Channel* const channel = how->channel;
  if (how->nested != 0) {
    const Start next = {channel + 1, 0};
    // The root waits for the pid, so nobody else is in libc.
    channel->value = start(how->nested, next);
    __atomic_store_n(&channel->request, 0, __ATOMIC_RELEASE);
  }
  serve(channel);
  return 0;
}

pid_t start(uint64_t flags, const Start& how) {
  char* const stack = static_cast<char*>(
      mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  // Lives as long as the process may look at it.
  Start* const copy = reinterpret_cast<Start*>(stack);
  *copy = how;
  return clone(begin, stack + kStackBytes, static_cast<int>(flags) | SIGCHLD, copy);
}

void handler_a(int) {}
void handler_b(int) {}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  g_channels = static_cast<Channel*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  g_private = static_cast<int*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  *g_private = 1000;
  umask(022);
  signal(SIGUSR2, handler_a);

  std::vector<Member> members;
  const auto add = [&](uint64_t flags) {
    const pid_t pid = start(flags, {&g_channels[members.size()], 0});
    self.must(pid > 0, "clone");
    members.push_back({pid, getpid(), flags});
  };
  const std::string which = argc > 2 ? argv[2] : "all";
  const bool all = which == "all";
  if (all || which == "vm") add(CLONE_VM);
  if (all || which == "files") add(CLONE_FILES);
  if (all || which == "fs") add(CLONE_FS);
  if (all || which == "vm_files") add(CLONE_VM | CLONE_FILES);
  if (all || which == "vm_fs") add(CLONE_VM | CLONE_FS);
  if (all || which == "vm_sighand") add(CLONE_VM | CLONE_SIGHAND);
  if (all || which == "files_fs") add(CLONE_FILES | CLONE_FS);
  if (all || which == "everything") add(CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND);
  if (all || which == "nested") {
    const size_t first = members.size();
    g_channels[first].request = 'n';
    const uint64_t flags = CLONE_VM | CLONE_FILES;
    const pid_t pid = start(flags, {&g_channels[first], CLONE_VM | CLONE_FS});
    self.must(pid > 0, "clone");
    while (__atomic_load_n(&g_channels[first].request, __ATOMIC_ACQUIRE) != 0)
      victim::Victim::pause_ms(1);
    members.push_back({pid, getpid(), flags});
    // The working directory of the first one, which nobody else has.
    members.push_back({static_cast<pid_t>(g_channels[first].value), pid, CLONE_VM});
  }
  if (all || which == "siblings") {  // with one another, not with their parent
    const size_t first = members.size();
    g_channels[first].request = 'n';
    const pid_t pid = start(0, {&g_channels[first], CLONE_PARENT | CLONE_VM | CLONE_FILES});
    self.must(pid > 0, "clone");
    while (__atomic_load_n(&g_channels[first].request, __ATOMIC_ACQUIRE) != 0)
      victim::Victim::pause_ms(1);
    members.push_back({pid, getpid(), 0});
    members.push_back({static_cast<pid_t>(g_channels[first].value), getpid(), 0, 1});
  }
  for (int i = 0; which == "many" && i < 40; ++i) add(CLONE_VM | CLONE_FILES);
  for (size_t i = 0; i < members.size(); ++i) {
    ask(i, 'm');
    self.must(ask(i, 'p') == members[i].parent, "parent");
  }

  self.ready_and_wait();

  const int before = *g_private;
  self.must(dup2(0, 100) == 100, "dup2");
  umask(077);
  signal(SIGUSR2, handler_b);
  int vm_members = 0;
  long last = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    const auto has = [&](uint64_t flag) { return (members[i].flags & flag) != 0; };
    self.expect_equal("parent", members[i].parent, ask(i, 'p'));
    const long counted = ask(i, 'm');
    if (has(CLONE_VM)) ++vm_members;
    self.expect((counted == before + vm_members) == has(CLONE_VM) && counted > 1000,
                "member %zu: memory %ld, mine %d", i, counted, *g_private);
    if (members[i].memory_partner != 0) self.expect_equal("memory of both", last + 1, counted);
    last = counted;
    self.expect_equal("descriptor", has(CLONE_FILES), ask(i, 'f'));
    self.expect_equal("umask", has(CLONE_FS) ? 077 : 022, ask(i, 'u'));
    self.expect_equal("handler", reinterpret_cast<long>(has(CLONE_SIGHAND) ? handler_b : handler_a),
                      ask(i, 's'));
  }
  for (size_t i = members.size(); i-- > 0;) {
    Channel& channel = g_channels[i];
    __atomic_store_n(&channel.request, 'x', __ATOMIC_RELEASE);
    if (members[i].parent == getpid()) {
      int status = 1;
      self.expect(waitpid(members[i].pid, &status, 0) == members[i].pid && status == 0,
                  "member %zu ended with %#x", i, static_cast<unsigned>(status));
    }
  }
  return self.finish();
}
