// User and group ids (real, effective, saved, file system), groups, the five capability sets,
// securebits, no_new_privs. Argument: "user" (a plain user without privileges), "mixed" (different
// ids, some capabilities), "securebits".
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <vector>

#include "tests/victims/victim.h"

namespace {

struct Capabilities {
  __user_cap_data_struct data[2];
};

Capabilities capabilities() {
  Capabilities found{};
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  syscall(SYS_capget, &header, found.data);
  return found;
}

void set_capabilities(victim::Victim& self, uint64_t effective, uint64_t permitted,
                      uint64_t inheritable) {
  Capabilities wanted{};
  for (int half = 0; half < 2; ++half)
    wanted.data[half] = {static_cast<uint32_t>(effective >> (32 * half)),
                         static_cast<uint32_t>(permitted >> (32 * half)),
                         static_cast<uint32_t>(inheritable >> (32 * half))};
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  self.must(syscall(SYS_capset, &header, wanted.data) == 0, "capset");
}

// Everything as one text that can be compared.
std::string state() {
  uid_t r, e, s;
  gid_t gr, ge, gs;
  getresuid(&r, &e, &s);
  getresgid(&gr, &ge, &gs);
  char text[512];
  const auto caps = capabilities();
  uint64_t bounding = 0, ambient = 0;
  for (int cap = 0; cap < 64; ++cap) {
    if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) bounding |= uint64_t{1} << cap;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1) ambient |= uint64_t{1} << cap;
  }
  gid_t groups[64];
  const int count = getgroups(64, groups);
  snprintf(text, sizeof(text),
           "uid %u %u %u %u gid %u %u %u %u eff %x%08x perm %x%08x inh %x%08x bnd %lx amb %lx "
           "secure %x nnp %d groups",
           r, e, s, static_cast<uid_t>(setfsuid(static_cast<uid_t>(-1))), gr, ge, gs,
           static_cast<gid_t>(setfsgid(static_cast<gid_t>(-1))), caps.data[1].effective,
           caps.data[0].effective, caps.data[1].permitted, caps.data[0].permitted,
           caps.data[1].inheritable, caps.data[0].inheritable, bounding, ambient,
           static_cast<unsigned>(prctl(PR_GET_SECUREBITS)), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  std::string all = text;
  for (int i = 0; i < count; ++i) all += " " + std::to_string(groups[i]);
  return all;
}

void become_user(victim::Victim& self) {
  const gid_t groups[] = {100, 2000, 3000, 70000};
  self.must(setgroups(4, groups) == 0, "setgroups");
  self.must(setresgid(1001, 1001, 1001) == 0 && setresuid(1000, 1000, 1000) == 0, "setresuid");
  self.must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
}

void become_mixed(victim::Victim& self) {
  const gid_t groups[] = {5, 6};
  self.must(setgroups(2, groups) == 0, "setgroups");
  for (const int cap : {CAP_SYS_BOOT, CAP_SYS_MODULE, CAP_AUDIT_WRITE})
    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
  self.must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0, "keepcaps");
  self.must(setresgid(1001, 1002, 1003) == 0 && setresuid(1000, 1001, 1002) == 0, "setresuid");
  const uint64_t permitted =
      1u << CAP_NET_BIND_SERVICE | 1u << CAP_CHOWN | 1u << CAP_KILL | 1u << CAP_SETUID;
  const uint64_t inheritable = 1u << CAP_NET_BIND_SERVICE | 1u << CAP_NET_RAW;
  set_capabilities(self, 1u << CAP_KILL | 1u << CAP_SETUID, permitted | 1u << CAP_NET_RAW,
                   inheritable);
  self.must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) == 0,
            "ambient");
  // setfsuid wants CAP_SETUID or one of the own ids.
  setfsuid(1002);
}

void become_secure(victim::Victim& self) {
  self.must(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                         SECBIT_KEEP_CAPS_LOCKED) == 0,
            "securebits");
  set_capabilities(self, 1u << CAP_CHOWN, 1u << CAP_CHOWN | 1u << CAP_SYS_NICE, 0);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const std::string kind = argc > 2 ? argv[2] : "user";
  if (kind == "user") become_user(self);
  if (kind == "mixed") become_mixed(self);
  if (kind == "securebits") become_secure(self);
  const auto before = state();
  self.ready_and_wait();
  const auto after = state();
  self.expect(before == after, "credentials are %s, were %s", after.c_str(), before.c_str());
  return self.finish();
}
