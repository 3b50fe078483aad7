#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

#include "tests/generators/random_tree/signals.h"

namespace random_tree {
namespace {

void set_limit(Random& random) {
  const __rlimit_resource resources[] = {RLIMIT_NOFILE, RLIMIT_CORE, RLIMIT_STACK,
                                         RLIMIT_SIGPENDING};
  const auto resource = resources[random.below(4)];
  rlimit limit{};
  getrlimit(resource, &limit);
  const rlim_t lowest = resource == RLIMIT_STACK ? 1 << 20 : 900;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, lowest + random.below(1000));
  setrlimit(resource, &limit);
}

// A filter that allows everything.
void allow_all() {
  sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const sock_fprog program{1, &allow};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

}  // namespace

void change_attribute(Random& random) {
  const uint64_t number = random.below(1000);
  switch (random.below(11)) {
    case 0:
      umask(static_cast<mode_t>(number % 0100));
      return;
    case 1:
      (void)!chdir(number % 2 == 0 ? "/usr" : "/");
      return;
    case 2:
      setpriority(PRIO_PROCESS, 0, static_cast<int>(number % 10));
      return;
    case 3:
      set_limit(random);
      return;
    case 4:
      personality(ADDR_COMPAT_LAYOUT);
      return;
    case 5:
      prctl(PR_SET_NAME, ("member " + std::to_string(number)).c_str());
      return;
    case 6:
      std::ofstream("/proc/self/oom_score_adj") << number;
      return;
    case 7:
      prctl(PR_SET_TIMERSLACK, 60'000 + number, 0, 0, 0);
      return;
    case 8:
      prctl(PR_SET_PDEATHSIG, 10);
      return;
    case 9:
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      return;
    default:
      allow_all();
      return;
  }
}

void change_credentials(Random& random) {
  const gid_t groups[] = {7, 8, 9};
  const auto id = static_cast<uid_t>(1000 + random.below(5));
  if (random.chance(40)) prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (setgroups(random.below(4), groups) != 0 || setresgid(id, id, id) != 0 ||
      setresuid(id, id, random.chance(20) ? 0 : id) != 0)
    return;
}

void look_at_attributes(pid_t parent, Report& report) {
  const mode_t mask = umask(0);
  umask(mask);
  char folder[4096] = "", name[16] = "";
  (void)!getcwd(folder, sizeof(folder));
  prctl(PR_GET_NAME, name);
  int death = 0, subreaper = 0;
  prctl(PR_GET_PDEATHSIG, &death);
  prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
  report.line("pid %d parent %d group %d session %d umask %o in %s name %s death %d subreaper %d",
              getpid(), parent, getpgrp(), getsid(0), mask, folder, name, death, subreaper);
  uid_t user[3];
  gid_t group[3];
  getresuid(&user[0], &user[1], &user[2]);
  getresgid(&group[0], &group[1], &group[2]);
  report.line("users %d %d %d groups %d %d %d of %d nice %d slack %d seccomp %d dumpable %d",
              user[0], user[1], user[2], group[0], group[1], group[2], getgroups(0, nullptr),
              getpriority(PRIO_PROCESS, 0), prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0),
              prctl(PR_GET_SECCOMP, 0, 0, 0, 0), prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

}  // namespace random_tree
