// inotify and fanotify: the same watch numbers, masks and marks; events come as before.
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <vector>

#include "tests/victims/victim.h"

namespace {

struct Event {
  int wd;
  uint32_t mask;
  std::string name;
};

std::vector<Event> events_of(int fd) {
  alignas(inotify_event) char buffer[8192];
  std::vector<Event> found;
  const auto got = read(fd, buffer, sizeof buffer);
  for (ssize_t at = 0; at < got;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
    found.push_back({event->wd, event->mask, event->len != 0 ? event->name : ""});
    at += static_cast<ssize_t>(sizeof *event + event->len);
  }
  return found;
}

void touch(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  (void)!write(fd, "x", 1);
  close(fd);
}

// A pidfd of a process that exits with this code; reaped.
int pidfd_of_gone(victim::Victim& self, int code) {
  const pid_t child = fork();
  if (child == 0) _exit(code);
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  self.must(fd >= 0 && waitpid(child, nullptr, 0) == child, "pidfd of a child");
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const std::string folder = self.path("watched"), file = folder + "/file", link = folder + "/link";
  self.must(mkdir(folder.c_str(), 0700) == 0, "mkdir");
  touch(file);
  self.must(symlink("file", link.c_str()) == 0, "symlink");

  const int many = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  // The numbers are not in a row, and none is 1.
  for (int i = 0; i < 5; ++i)
    inotify_rm_watch(many, inotify_add_watch(many, folder.c_str(), IN_ALL_EVENTS));
  const int folder_wd =
      inotify_add_watch(many, folder.c_str(), IN_CREATE | IN_DELETE | IN_EXCL_UNLINK);
  inotify_rm_watch(many, inotify_add_watch(many, "/", IN_DELETE_SELF));
  const int file_wd = inotify_add_watch(many, file.c_str(), IN_MODIFY | IN_ONESHOT);
  const int link_wd = inotify_add_watch(many, link.c_str(), IN_ATTRIB | IN_DONT_FOLLOW);
  (void)events_of(many);
  self.expect(folder_wd == 6 && file_wd == 8 && link_wd == 9, "watch numbers");
  const int empty = inotify_init1(0);

  const int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
  const bool has_fanotify = fan >= 0;
  if (has_fanotify) {
    self.must(fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, AT_FDCWD,
                            folder.c_str()) == 0,
              "mark a folder");
    self.must(
        fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY,
                      FAN_OPEN, AT_FDCWD, file.c_str()) == 0,
        "ignore a file");
  }

  const int own = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  const int gone = pidfd_of_gone(self, 42), gone_again = dup(gone);

  self.ready_and_wait();

  touch(folder + "/new");
  auto found = events_of(many);
  self.expect(found.size() == 1 && found[0].wd == folder_wd && found[0].mask == IN_CREATE &&
                  found[0].name == "new",
              "%zu events of a new file", found.size());
  touch(file);
  found = events_of(many);
  self.expect(found.size() == 2 && found[0].wd == file_wd && found[0].mask == IN_MODIFY &&
                  found[1].mask == IN_IGNORED,
              "%zu events of a one-shot watch", found.size());
  self.must(fchownat(AT_FDCWD, link.c_str(), getuid(), getgid(), AT_SYMLINK_NOFOLLOW) == 0,
            "lchown");
  found = events_of(many);
  self.expect(found.size() == 1 && found[0].wd == link_wd && found[0].mask == IN_ATTRIB,
              "%zu events of a symbolic link", found.size());
  self.expect(inotify_rm_watch(many, folder_wd) == 0, "the folder's watch has another number");
  self.expect(inotify_add_watch(many, folder.c_str(), IN_OPEN) > link_wd, "a number is used again");
  self.expect_equal("first watch of an empty instance", 1,
                    inotify_add_watch(empty, folder.c_str(), IN_OPEN));

  if (has_fanotify) {
    fanotify_event_metadata event{};
    while (read(fan, &event, sizeof event) > 0) close(event.fd);
    close(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    self.expect(read(fan, &event, sizeof event) < 0, "an ignored file is reported");
    close(open((folder + "/new").c_str(), O_RDONLY | O_CLOEXEC));
    self.expect(read(fan, &event, sizeof event) > 0 && event.mask == FAN_OPEN,
                "fanotify reports %llx", static_cast<unsigned long long>(event.mask));
  }

  pollfd alive{own, POLLIN, 0}, dead{gone, POLLIN, 0};
  self.expect(poll(&alive, 1, 0) == 0, "the pidfd of this process says it ended");
  self.expect(syscall(SYS_pidfd_send_signal, own, 0, nullptr, 0) == 0, "pidfd of this process");
  self.expect(poll(&dead, 1, 0) == 1 && (dead.revents & POLLIN) != 0, "pidfd of a gone process");
  self.expect(syscall(SYS_pidfd_send_signal, gone_again, 0, nullptr, 0) < 0 && errno == ESRCH,
              "signal to a gone process");
  siginfo_t info;
  self.expect(waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 && errno == ECHILD,
              "there is a child to wait for");
  unlink((folder + "/new").c_str());  // the checkpoint may be restored once more
  return self.finish();
}
