// System V segments, semaphores and message queues, and the IPC namespace they are in: attached,
// in part, read-only, by two processes, by nobody, and removed already.
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>

#include <atomic>
#include <fstream>

#include "tests/victims/victim.h"

namespace {

constexpr size_t kPage = 4096;

// Numbers that are not the first ones of a new namespace.
int used_up(int (*make)(), int (*remove)(int)) {
  const int id = make();
  return id >= 0 ? remove(id) : -1;
}

std::string setting(const char* name) {
  std::ifstream file(std::string("/proc/sys/kernel/") + name);
  std::string value;
  std::getline(file, value);
  return value;
}

class Segments {
 public:
  explicit Segments(victim::Victim& self) : self_(self) {
    used_up([] { return shmget(IPC_PRIVATE, 1, 0600); },
            [](int id) { return shmctl(id, IPC_RMID, nullptr); });
    shared_ = make(0x1234, 5 * kPage + 100, 0640);
    all_ = attach(shared_, 0);
    victim::Pattern::fill(all_ + kPage, 2 * kPage, 1);
    part_ = attach(shared_, SHM_RDONLY);
    munmap(part_, kPage);  // the second page on is left
    munmap(part_ + 3 * kPage, kPage);
    mprotect(all_ + 2 * kPage, kPage, PROT_READ);
    removed_ = make(IPC_PRIVATE, kPage, 0600);
    gone_ = attach(removed_, 0);
    victim::Pattern::fill(gone_, kPage, 2);
    shmctl(removed_, IPC_RMID, nullptr);
    alone_ = make(0x5678, 2 * kPage, 0604);
    unsigned char* const filled = attach(alone_, 0);
    victim::Pattern::fill(filled, 2 * kPage, 3);
    shmdt(filled);
    shmid_ds state{};
    shmctl(alone_, IPC_STAT, &state);
    state.shm_perm.uid = 1000;
    self.must(shmctl(alone_, IPC_SET, &state) == 0, "IPC_SET");
  }

  std::atomic<int>& word() { return *reinterpret_cast<std::atomic<int>*>(all_); }

  void check() {
    self_.expect_equal("number by key", shared_, shmget(0x1234, 0, 0));
    self_.expect_equal("number by key", alone_, shmget(0x5678, 0, 0));
    self_.expect(victim::Pattern::matches(all_ + kPage, 2 * kPage, 1), "attached content");
    self_.expect(victim::Pattern::matches(part_ + kPage, 2 * kPage, 1), "content of a part");
    self_.expect(victim::Pattern::matches(gone_, kPage, 2), "content of a removed one");
    all_[4 * kPage + 7] = 77;
    self_.expect_equal("the same memory", 77, part_[4 * kPage + 7]);
    shmid_ds state{};
    self_.expect(shmctl(shared_, IPC_STAT, &state) == 0 && state.shm_segsz == 5 * kPage + 100 &&
                     (state.shm_perm.mode & 0777) == 0640,
                 "size %zu mode %o", state.shm_segsz, state.shm_perm.mode);
    // Of this process: the read-only page has parted the first attachment, the holes the second.
    self_.expect(state.shm_nattch >= 5, "%lu attachments", state.shm_nattch);
    self_.expect(shmdt(all_) == 0, "detach");
    self_.expect(shmctl(removed_, IPC_STAT, &state) == 0 && (state.shm_perm.mode & SHM_DEST) != 0,
                 "the removed one is there while it is attached");
    self_.expect(shmdt(gone_) == 0 && shmctl(removed_, IPC_STAT, &state) != 0, "and then gone");
    unsigned char* const filled = attach(alone_, 0);
    self_.expect(victim::Pattern::matches(filled, 2 * kPage, 3), "content that nobody attached");
    shmctl(alone_, IPC_STAT, &state);
    self_.expect(state.shm_perm.uid == 1000 && (state.shm_perm.mode & 0777) == 0604, "owner");
  }

 private:
  int make(key_t key, size_t bytes, int mode) {
    const int id = shmget(key, bytes, mode | IPC_CREAT | IPC_EXCL);
    self_.must(id >= 0, "shmget");
    return id;
  }
  unsigned char* attach(int id, int flags) {
    void* const at = shmat(id, nullptr, flags);
    self_.must(at != reinterpret_cast<void*>(-1), "shmat");
    return static_cast<unsigned char*>(at);
  }

  victim::Victim& self_;
  int shared_, removed_, alone_;
  unsigned char *all_, *part_, *gone_;
};

class Semaphores {
 public:
  explicit Semaphores(victim::Victim& self) : self_(self) {
    used_up([] { return semget(IPC_PRIVATE, 1, 0600); },
            [](int id) { return semctl(id, 0, IPC_RMID); });
    id_ = semget(0x99, 3, IPC_CREAT | 0660);
    unsigned short values[] = {5, 0, 32767};
    self.must(id_ >= 0 && semctl(id_, 0, SETALL, values) == 0, "semaphores");
  }
  void check() {
    unsigned short values[3] = {};
    self_.expect_equal("set by key", id_, semget(0x99, 3, 0));
    semctl(id_, 0, GETALL, values);
    self_.expect(values[0] == 5 && values[1] == 0 && values[2] == 32767, "values %d %d %d",
                 values[0], values[1], values[2]);
    sembuf take{0, -5, IPC_NOWAIT};
    self_.expect(semop(id_, &take, 1) == 0, "operation");
  }

 private:
  victim::Victim& self_;
  int id_;
};

class Queue {
 public:
  explicit Queue(victim::Victim& self) : self_(self) {
    used_up([] { return msgget(IPC_PRIVATE, 0600); },
            [](int id) { return msgctl(id, IPC_RMID, nullptr); });
    id_ = msgget(0x77, IPC_CREAT | 0622);
    self.must(id_ >= 0 && send(3, "three") && send(1, "") && send(2, "two and more"), "messages");
    msqid_ds state{};
    msgctl(id_, IPC_STAT, &state);
    state.msg_qbytes = 20;  // more than there is room for
    self.must(msgctl(id_, IPC_SET, &state) == 0, "limit");
  }
  void check() {
    msqid_ds state{};
    self_.expect_equal("queue by key", id_, msgget(0x77, 0));
    self_.expect(msgctl(id_, IPC_STAT, &state) == 0 && state.msg_qnum == 3 &&
                     state.msg_qbytes == 20 && (state.msg_perm.mode & 0777) == 0622,
                 "state: %lu messages, %lu bytes", state.msg_qnum, state.msg_qbytes);
    expect_message(2, "two and more");
    expect_message(0, "three");
    expect_message(0, "");
  }

 private:
  struct Message {
    long type;
    char text[64];
  };
  bool send(long type, const char* text) {
    Message message{type, {}};
    strcpy(message.text, text);
    return msgsnd(id_, &message, strlen(text), IPC_NOWAIT) == 0;
  }
  void expect_message(long type, const std::string& text) {
    Message message{};
    const ssize_t got = msgrcv(id_, &message, sizeof(message.text), type, IPC_NOWAIT);
    self_.expect(got == static_cast<ssize_t>(text.size()) && text == message.text,
                 "message of type %ld: %zd bytes `%s`", type, got, message.text);
  }

  victim::Victim& self_;
  int id_;
};

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  if (unshare(CLONE_NEWIPC) != 0) self.skip("no right to create an IPC namespace");
  std::ofstream("/proc/sys/kernel/msgmni") << 123;
  Segments segments(self);
  Semaphores semaphores(self);
  Queue queue(self);
  const pid_t child = fork();
  if (child == 0) {
    while (segments.word() != 1) victim::Victim::pause_ms(2);
    segments.word() = 2;
    _exit(0);
  }

  self.ready_and_wait();

  self.expect(setting("msgmni") == "123", "setting %s", setting("msgmni").c_str());
  segments.word() = 1;
  for (int i = 0; i < 2000 && segments.word() != 2; ++i) victim::Victim::pause_ms(2);
  self.expect_equal("what the child wrote", 2, segments.word());
  int status = -1;
  waitpid(child, &status, 0);
  self.expect_equal("status of the child", 0, status);
  segments.check();
  semaphores.check();
  queue.check();
  return self.finish();
}
