// A terminal of the tree's own: the session it controls, its foreground and background groups, a
// member that gave it up, /dev/tty; after a restore the keys still reach the right ones.
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include <csignal>

#include "tests/victims/victim.h"

namespace {

int g_events;  // a pipe: what happened to whom
char g_name;   // of this job

void tell(int signal) {
  const char event[2] = {g_name, static_cast<char>(signal == SIGINT     ? 'I'
                                                   : signal == SIGWINCH ? 'W'
                                                                        : '?')};
  (void)!write(g_events, event, 2);
}

// A job of the session, in a process group of its own.
pid_t start_job(char name) {
  const pid_t pid = fork();
  if (pid != 0) {
    setpgid(pid, pid);
    return pid;
  }
  g_name = name;
  setpgid(0, 0);
  signal(SIGINT, tell);
  signal(SIGWINCH, tell);
  for (;;) pause();
}

struct Question {
  char what;  // '?': report; 'f', 'b': bring that job to the foreground
};
struct Report {
  pid_t session, foreground, own_terminal_foreground;
  int member_has_terminal;
};

// The session leader: a shell of sorts.
[[noreturn]] void lead(const char* slave_path, int questions, int answers) {
  setsid();
  const int terminal = open(slave_path, O_RDWR);  // becomes the controlling terminal
  const int own = open("/dev/tty", O_RDWR);
  signal(SIGTTOU, SIG_IGN);
  int asked[2], told[2];
  if (terminal < 0 || own < 0 || pipe(asked) != 0 || pipe(told) != 0) _exit(2);
  const pid_t front = start_job('f');
  const pid_t back = start_job('b');
  if (fork() == 0) {  // has no terminal
    ioctl(terminal, TIOCNOTTY);
    close(asked[1]);
    for (char byte; read(asked[0], &byte, 1) == 1;) {
      const int mine = open("/dev/tty", O_RDWR);
      byte = mine >= 0 ? 1 : 0;
      (void)!write(told[1], &byte, 1);
    }
    _exit(0);
  }
  tcsetpgrp(terminal, front);
  for (Question question; read(questions, &question, sizeof(question)) == sizeof(question);) {
    if (question.what == 'f') tcsetpgrp(terminal, front);
    if (question.what == 'b') tcsetpgrp(own, back);
    char byte = 0;
    (void)!write(asked[1], &byte, 1);
    (void)!read(told[0], &byte, 1);
    const Report report{tcgetsid(terminal), tcgetpgrp(terminal) == front ? 'f' : 'b',
                        tcgetpgrp(own) == front ? 'f' : 'b', byte};
    (void)!write(answers, &report, sizeof(report));
  }
  close(asked[1]);
  kill(-front, SIGKILL);
  kill(-back, SIGKILL);
  while (wait(nullptr) > 0) {
  }
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  self.must(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0, "pseudoterminal");
  char path[64];
  self.must(ptsname_r(master, path, sizeof path) == 0, "ptsname");
  int events[2], questions[2], answers[2];
  self.must(pipe(events) == 0 && pipe(questions) == 0 && pipe(answers) == 0, "pipes");
  g_events = events[1];
  const pid_t leader = fork();
  if (leader == 0) {
    close(master);
    close(questions[1]);
    lead(path, questions[0], answers[1]);
  }
  const auto ask = [&](char what) {
    const Question question{what};
    Report report{};
    (void)!write(questions[1], &question, sizeof(question));
    (void)!read(answers[0], &report, sizeof(report));
    return report;
  };
  const auto expect_report = [&](const Report& report, char front) {
    self.expect_equal("session", leader, report.session);
    self.expect_equal("foreground", front, report.foreground);
    self.expect_equal("foreground by /dev/tty", front, report.own_terminal_foreground);
    self.expect_equal("terminal of who gave it up", 0, report.member_has_terminal);
  };
  const auto expect_event = [&](char who, char what) {
    char event[2] = {};
    (void)!read(events[0], event, 2);
    self.expect(event[0] == who && event[1] == what, "event %.2s, expected %c%c", event, who, what);
  };
  expect_report(ask('?'), 'f');

  self.ready_and_wait();

  expect_report(ask('?'), 'f');
  (void)!write(master, "\x03", 1);
  expect_event('f', 'I');
  expect_report(ask('b'), 'b');
  (void)!write(master, "\x03", 1);
  expect_event('b', 'I');
  const winsize size = {33, 44, 0, 0};
  ioctl(master, TIOCSWINSZ, &size);
  expect_event('b', 'W');
  expect_report(ask('f'), 'f');
  close(questions[1]);
  int status = 0;
  self.expect(waitpid(leader, &status, 0) == leader && status == 0, "end of the leader: %#x",
              static_cast<unsigned>(status));
  return self.finish();
}
