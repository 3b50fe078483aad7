// One process that holds something of every item that can be checkpointed, at the same time.
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include <atomic>
#include <memory>
#include <vector>

#include "tests/victims/victim.h"

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kBytes = 32 * kPage;

// One item: made by the constructor, compared by check().
class Item {
 public:
  virtual ~Item() = default;
  virtual void check(victim::Victim& self) = 0;
};

class Memory : public Item {
 public:
  explicit Memory(victim::Victim& self) {
    constexpr int kReadWrite = PROT_READ | PROT_WRITE;
    file_ = open(self.path("mapped").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    memfd_ = memfd_create("all", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    self.must(file_ >= 0 && memfd_ >= 0 && ftruncate(file_, kBytes) == 0 &&
                  ftruncate(memfd_, kBytes) == 0,
              "files");
    fcntl(memfd_, F_ADD_SEALS, F_SEAL_GROW);
    areas_ = {area(self, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS, -1),
              area(self, kReadWrite, MAP_SHARED | MAP_ANONYMOUS, -1),
              area(self, kReadWrite, MAP_PRIVATE, file_),
              area(self, kReadWrite, MAP_SHARED, memfd_),
              area(self, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1)};
    for (size_t i = 0; i < areas_.size(); ++i) victim::Pattern::fill(areas_[i], kBytes, i + 1);
    mlock(areas_[0], kPage);
    madvise(areas_[0] + 8 * kPage, 8 * kPage, MADV_DONTFORK);
    mprotect(areas_[0] + 16 * kPage, kPage, PROT_READ);
    none_ = area(self, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    heap_ = static_cast<unsigned char*>(sbrk(kBytes));
    victim::Pattern::fill(heap_, kBytes, 77);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  }
  void check(victim::Victim& self) override {
    for (size_t i = 0; i < areas_.size(); ++i)
      self.expect(victim::Pattern::matches(areas_[i], kBytes, i + 1), "memory area %zu", i);
    self.expect(victim::Pattern::matches(heap_, kBytes, 77), "heap");
    self.expect_equal("seals", F_SEAL_GROW, fcntl(memfd_, F_GET_SEALS));
    self.expect_equal("THP disable", 1, prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    (void)none_;
  }

 private:
  static unsigned char* area(victim::Victim& self, int protection, int flags, int fd) {
    void* memory = mmap(nullptr, kBytes, protection, flags, fd, 0);
    self.must(memory != MAP_FAILED, "mmap");
    return static_cast<unsigned char*>(memory);
  }
  int file_, memfd_;
  std::vector<unsigned char*> areas_;
  unsigned char* none_;
  unsigned char* heap_;
};

class Descriptors : public Item {
 public:
  explicit Descriptors(victim::Victim& self) {
    file_ = open(self.path("file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    self.must(write(file_, "0123456789", 10) == 10 && lseek(file_, 4, SEEK_SET) == 4, "file");
    twin_ = dup(file_);
    ghost_ = open(self.path("ghost").c_str(), O_RDWR | O_CREAT, 0600);
    self.must(write(ghost_, "boo", 3) == 3 && unlink(self.path("ghost").c_str()) == 0, "ghost");
    directory_ = open(self.path("").c_str(), O_RDONLY | O_DIRECTORY);
    path_ = open(self.path("file").c_str(), O_PATH);
    self.must(pipe2(pipe_, O_NONBLOCK) == 0 && write(pipe_[1], "in the pipe", 11) == 11, "pipe");
    self.must(mkfifo(self.path("fifo").c_str(), 0600) == 0, "mkfifo");
    fifo_ = open(self.path("fifo").c_str(), O_RDWR);
    self.must(write(fifo_, "fifo", 4) == 4, "fifo");
    event_ = eventfd(9, EFD_CLOEXEC | EFD_NONBLOCK);
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    const itimerspec when{{0, 0}, {3000, 0}};
    timerfd_settime(timer_, 0, &when, nullptr);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGRTMIN + 8);
    signal_ = signalfd(-1, &signals, SFD_NONBLOCK);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (const int fd : {event_, timer_, signal_, pipe_[0]}) {
      epoll_event watch{EPOLLIN, {}};
      watch.data.fd = fd;
      epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &watch);
    }
    null_ = open("/dev/null", O_RDWR);
  }
  void check(victim::Victim& self) override {
    char text[16] = "";
    self.expect(
        read(twin_, text, 2) == 2 && strcmp(text, "45") == 0 && lseek(file_, 0, SEEK_CUR) == 6,
        "file and its dup");
    self.expect(pread(ghost_, text, 3, 0) == 3 && memcmp(text, "boo", 3) == 0, "ghost");
    self.expect(
        openat(directory_, "file", O_RDONLY | O_CLOEXEC) >= 0 && fcntl(path_, F_GETFL) & O_PATH,
        "directory and O_PATH");
    epoll_event events[8];
    self.expect_equal("epoll", 2, epoll_wait(epoll_, events, 8, 0));
    self.expect(read(pipe_[0], text, 16) == 11 && read(fifo_, text, 16) == 4, "pipe and FIFO");
    uint64_t value = 0;
    self.expect(read(event_, &value, 8) == 8 && value == 9, "eventfd");
    itimerspec left{};
    timerfd_gettime(timer_, &left);
    self.expect(left.it_value.tv_sec > 2000 && left.it_value.tv_sec < 3000, "timerfd");
    self.expect(write(null_, text, 1) == 1, "/dev/null");
    kill(getpid(), SIGRTMIN + 8);
    signalfd_siginfo info{};
    self.expect(read(signal_, &info, sizeof(info)) == sizeof(info), "signalfd");
  }

 private:
  int file_, twin_, ghost_, directory_, path_, pipe_[2], fifo_, event_, timer_, signal_, epoll_,
      null_;
};

void handler(int) {}

class Signals : public Item {
 public:
  explicit Signals(victim::Victim& self) {
    sigset_t blocked;
    sigemptyset(&blocked);
    for (const int number : {SIGRTMIN + 8, SIGRTMIN + 9, SIGALRM, SIGUSR1})
      sigaddset(&blocked, number);
    self.must(pthread_sigmask(SIG_BLOCK, &blocked, nullptr) == 0, "mask");
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);
    stack_ = new char[1 << 16];
    const stack_t stack{stack_, 0, 1 << 16};
    sigaltstack(&stack, nullptr);
    for (int i = 0; i < 3; ++i) {
      sigval payload;
      payload.sival_int = 60 + i;
      sigqueue(getpid(), SIGRTMIN + 9, payload);
    }
    const itimerval real{{0, 0}, {4000, 0}};
    setitimer(ITIMER_REAL, &real, nullptr);
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer_);
    const itimerspec when{{0, 0}, {5000, 0}};
    syscall(SYS_timer_settime, timer_, 0, &when, nullptr);
  }
  void check(victim::Victim& self) override {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGRTMIN + 9);
    for (int i = 0; i < 3; ++i) {
      siginfo_t info{};
      const timespec none{};
      self.expect(sigtimedwait(&wanted, &info, &none) > 0 && info.si_value.sival_int == 60 + i,
                  "queued signal %d", i);
    }
    struct sigaction action {};
    sigaction(SIGUSR1, nullptr, &action);
    self.expect(action.sa_handler == handler && (action.sa_flags & SA_ONSTACK) != 0, "handler");
    stack_t stack{};
    sigaltstack(nullptr, &stack);
    self.expect(stack.ss_sp == stack_, "alternate stack");
    itimerval real{};
    getitimer(ITIMER_REAL, &real);
    self.expect(real.it_value.tv_sec > 3000 && real.it_value.tv_sec <= 4000, "real timer");
    itimerspec left{};
    syscall(SYS_timer_gettime, timer_, &left);
    self.expect(left.it_value.tv_sec > 4000 && left.it_value.tv_sec <= 5000, "POSIX timer");
  }

 private:
  char* stack_;
  int timer_ = -1;
};

class Threads : public Item {
 public:
  explicit Threads(victim::Victim& self) {
    for (auto& thread : threads_) {
      thread.owner = this;
      self.must(pthread_create(&thread.thread, nullptr, body, &thread) == 0, "thread");
    }
    while (started_ != static_cast<int>(std::size(threads_))) victim::Victim::pause_ms(1);
  }
  void check(victim::Victim& self) override {
    stop_ = true;
    for (auto& thread : threads_) {
      pthread_join(thread.thread, nullptr);
      self.expect(thread.good, "thread %td", &thread - threads_);
    }
  }

 private:
  struct Thread {
    Threads* owner;
    pthread_t thread;
    bool good;
  };
  static void* body(void* argument) {
    auto& thread = *static_cast<Thread*>(argument);
    const auto number = &thread - thread.owner->threads_;
    const auto tid = syscall(SYS_gettid);
    char name[16], found[16] = "";
    snprintf(name, sizeof(name), "all-%d", static_cast<int>(number) & 7);
    prctl(PR_SET_NAME, name);
    setpriority(PRIO_PROCESS, 0, static_cast<int>(number));
    prctl(PR_SET_TIMERSLACK, 70'000UL + static_cast<unsigned long>(number));
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
    volatile double value = 1.0 + static_cast<double>(number);
    ++thread.owner->started_;
    while (!thread.owner->stop_) victim::Victim::pause_ms(1);
    prctl(PR_GET_NAME, found);
    sched_getaffinity(0, sizeof(cpus), &cpus);
    thread.good = tid == syscall(SYS_gettid) && strcmp(name, found) == 0 &&
                  getpriority(PRIO_PROCESS, 0) == number &&
                  prctl(PR_GET_TIMERSLACK) == 70'000 + number && CPU_COUNT(&cpus) == 1 &&
                  value == 1.0 + static_cast<double>(number);
    return nullptr;
  }
  Thread threads_[5] = {};
  std::atomic<int> started_{0};
  std::atomic<bool> stop_{false};
};

class Attributes : public Item {
 public:
  explicit Attributes(victim::Victim& self) {
    umask(0037);
    const rlimit limit{300, 400};
    setrlimit(RLIMIT_NOFILE, &limit);
    personality(ADDR_COMPAT_LAYOUT);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    self.must(chdir(self.path("").c_str()) == 0, "chdir");
    const gid_t groups[] = {7, 8, 9};
    self.must(setgroups(3, groups) == 0 && setresgid(10, 10, 0) == 0, "groups");
    prctl(PR_SET_PDEATHSIG, SIGURG);  // after the change of group, which clears it
    prctl(PR_CAPBSET_DROP, 22, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  }
  void check(victim::Victim& self) override {
    self.expect_equal("umask", 0037, umask(0037));
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    self.expect(limit.rlim_cur == 300 && limit.rlim_max == 400, "limit");
    self.expect_equal("personality", ADDR_COMPAT_LAYOUT, personality(0xffffffff));
    int value = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &value);
    self.expect_equal("subreaper", 1, value);
    prctl(PR_GET_PDEATHSIG, &value);
    self.expect_equal("parent-death signal", SIGURG, value);
    self.expect(access("file", F_OK) == 0, "working directory");
    gid_t groups[4];
    self.expect(getgroups(4, groups) == 3 && groups[2] == 9 && getgid() == 10, "groups");
    self.expect(
        prctl(PR_CAPBSET_READ, 22, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
        "capabilities");
  }
};

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  std::vector<std::unique_ptr<Item>> items;
  items.push_back(std::make_unique<Signals>(self));
  items.push_back(std::make_unique<Memory>(self));
  items.push_back(std::make_unique<Descriptors>(self));
  items.push_back(std::make_unique<Threads>(self));
  items.push_back(std::make_unique<Attributes>(self));
  self.ready_and_wait();
  for (const auto& item : items) item->check(self);
  return self.finish();
}
