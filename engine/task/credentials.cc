#include "engine/task/credentials.h"

#include <linux/capability.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "engine/base/plan_report.h"
#include "engine/task/start_state.h"
#include "proto/credentials.pb.h"
#include "proto/task.pb.h"
#include "proto/wire/state_calls.h"

namespace cryostat::task {

namespace {

constexpr std::array kCapabilityNames = {"CAP_CHOWN",
                                         "CAP_DAC_OVERRIDE",
                                         "CAP_DAC_READ_SEARCH",
                                         "CAP_FOWNER",
                                         "CAP_FSETID",
                                         "CAP_KILL",
                                         "CAP_SETGID",
                                         "CAP_SETUID",
                                         "CAP_SETPCAP",
                                         "CAP_LINUX_IMMUTABLE",
                                         "CAP_NET_BIND_SERVICE",
                                         "CAP_NET_BROADCAST",
                                         "CAP_NET_ADMIN",
                                         "CAP_NET_RAW",
                                         "CAP_IPC_LOCK",
                                         "CAP_IPC_OWNER",
                                         "CAP_SYS_MODULE",
                                         "CAP_SYS_RAWIO",
                                         "CAP_SYS_CHROOT",
                                         "CAP_SYS_PTRACE",
                                         "CAP_SYS_PACCT",
                                         "CAP_SYS_ADMIN",
                                         "CAP_SYS_BOOT",
                                         "CAP_SYS_NICE",
                                         "CAP_SYS_RESOURCE",
                                         "CAP_SYS_TIME",
                                         "CAP_SYS_TTY_CONFIG",
                                         "CAP_MKNOD",
                                         "CAP_LEASE",
                                         "CAP_AUDIT_WRITE",
                                         "CAP_AUDIT_CONTROL",
                                         "CAP_SETFCAP",
                                         "CAP_MAC_OVERRIDE",
                                         "CAP_MAC_ADMIN",
                                         "CAP_SYSLOG",
                                         "CAP_WAKE_ALARM",
                                         "CAP_BLOCK_SUSPEND",
                                         "CAP_AUDIT_READ",
                                         "CAP_PERFMON",
                                         "CAP_BPF",
                                         "CAP_CHECKPOINT_RESTORE"};

std::string capability_names(uint64_t set) {
  std::string names;
  for (; set != 0; set &= set - 1) {
    if (!names.empty()) names += ", ";
    names += capability_name(static_cast<unsigned>(std::countr_zero(set)));
  }
  return names;
}

bool has(const StartState& start, unsigned capability) {
  return (start.thread.cap_effective >> capability & 1) != 0;
}

std::array<uint32_t, 4> uids(const pb::Credentials& image) {
  return {image.uid(), image.euid(), image.suid(), image.fsuid()};
}
std::array<uint32_t, 4> gids(const pb::Credentials& image) {
  return {image.gid(), image.egid(), image.sgid(), image.fsgid()};
}

bool same_ids(const pb::Credentials& image, const StartState& start) {
  return std::ranges::equal(uids(image), start.thread.uid) &&
         std::ranges::equal(gids(image), start.thread.gid);
}

// Order says nothing: the kernel sorts the groups it is given.
bool same_groups(const pb::Credentials& image, const StartState& start) {
  std::vector<uint32_t> wanted(image.groups().begin(), image.groups().end());
  std::vector<uint32_t> own = start.groups;
  std::ranges::sort(wanted);
  std::ranges::sort(own);
  return wanted == own;
}

// The bounding set's bits beyond the capabilities this kernel knows mean nothing.
uint64_t bounding_missing(const pb::Credentials& image, const StartState& start) {
  return image.cap_bounding() & ~start.thread.cap_bounding;
}

bool same_capabilities(const pb::Credentials& image, const StartState& start) {
  const wire::ThreadStateReport& own = start.thread;
  return image.cap_inheritable() == own.cap_inheritable &&
         image.cap_permitted() == own.cap_permitted && image.cap_effective() == own.cap_effective &&
         image.cap_bounding() == own.cap_bounding && image.cap_ambient() == own.cap_ambient;
}

void check_one(const pb::Credentials& image, const StartState& start, const std::string& subject,
               PlanReport& report) {
  using enum ErrorKind;
  if (!same_ids(image, start) && (!has(start, CAP_SETUID) || !has(start, CAP_SETGID)))
    report.missing(subject, "runs as another user, and CAP_SETUID and CAP_SETGID are missing here",
                   "restore as root", kPermission);
  if (!same_groups(image, start) && !has(start, CAP_SETGID))
    report.missing(subject, "has other groups, and CAP_SETGID is missing here", "restore as root",
                   kPermission);
  const uint64_t wanted = image.cap_permitted() | image.cap_effective() | image.cap_ambient();
  if (const uint64_t lacking = wanted & ~start.thread.cap_permitted)
    report.missing(subject, "has " + capability_names(lacking) + ", which cr-restore lacks",
                   "restore with these capabilities", kPermission);
  if (const uint64_t lacking = bounding_missing(image, start))
    report.missing(
        subject,
        "has " + capability_names(lacking) + " in its bounding set, which cr-restore's own lacks",
        "restore from a session without that restriction", kPermission);
  const bool shrinks = image.cap_bounding() != start.thread.cap_bounding ||
                       image.securebits() != start.thread.securebits;
  if (shrinks && !has(start, CAP_SETPCAP))
    report.missing(subject, "needs CAP_SETPCAP for its bounding set or securebits",
                   "restore as root", kPermission);
  if (!image.no_new_privs() && start.thread.no_new_privs == 1)
    report.missing(subject, "may gain privileges by execve, but cr-restore runs with no_new_privs",
                   "restore from a session without no_new_privs", kPermission);
}

}  // namespace

std::string capability_name(unsigned number) {
  if (number < kCapabilityNames.size()) return kCapabilityNames[number];
  return "capability " + std::to_string(number);
}

void save_credentials(const wire::ThreadStateReport& report, std::span<const uint32_t> groups,
                      pb::Credentials& image) {
  image.set_uid(report.uid[0]);
  image.set_euid(report.uid[1]);
  image.set_suid(report.uid[2]);
  image.set_fsuid(report.uid[3]);
  image.set_gid(report.gid[0]);
  image.set_egid(report.gid[1]);
  image.set_sgid(report.gid[2]);
  image.set_fsgid(report.gid[3]);
  image.mutable_groups()->Add(groups.begin(), groups.end());
  image.set_cap_inheritable(report.cap_inheritable);
  image.set_cap_permitted(report.cap_permitted);
  image.set_cap_effective(report.cap_effective);
  image.set_cap_bounding(report.cap_bounding);
  image.set_cap_ambient(report.cap_ambient);
  image.set_securebits(report.securebits);
  image.set_no_new_privs(report.no_new_privs == 1);
}

void check_credentials(const std::vector<pb::Thread>& threads, const StartState& start,
                       PlanReport& report) {
  const std::string* previous = nullptr;
  std::string serialized;
  std::string last;
  for (const pb::Thread& thread : threads) {
    // Threads nearly always share their credentials: one check says it for all.
    serialized = thread.credentials().SerializeAsString();
    if (previous != nullptr && *previous == serialized) continue;
    last = serialized;
    previous = &last;
    const std::string subject = "credentials of thread " + std::to_string(thread.tid());
    const size_t before = report.missing_count();
    check_one(thread.credentials(), start, subject, report);
    if (report.missing_count() == before)
      report.ok(subject, "uid " + std::to_string(thread.credentials().euid()));
  }
}

void plan_credentials(const pb::Credentials& image, const StartState& start, WireArena& arena,
                      wire::ThreadState& state) {
  const wire::ThreadStateReport& own = start.thread;
  std::ranges::copy(uids(image), state.uid);
  std::ranges::copy(gids(image), state.gid);
  if (!same_groups(image, start)) {
    state.calls |= wire::kSetGroups;
    state.groups =
        arena.append(std::vector<uint32_t>(image.groups().begin(), image.groups().end()));
  }
  state.start_securebits = own.securebits;
  state.securebits = image.securebits();
  if (image.securebits() != own.securebits) state.calls |= wire::kSetSecurebits;
  if (!same_ids(image, start)) {
    state.calls |= wire::kSetIds;
    // On the way this bit keeps the capabilities; it has to go again.
    if (!(image.securebits() & wire::calls::kSecbitNoSetuidFixup))
      state.calls |= wire::kSetSecurebits;
  }
  state.start_cap_effective = own.cap_effective;
  state.start_cap_permitted = own.cap_permitted;
  state.start_cap_inheritable = own.cap_inheritable;
  state.cap_effective = image.cap_effective();
  state.cap_permitted = image.cap_permitted();
  state.cap_inheritable = image.cap_inheritable();
  if (!same_capabilities(image, start)) {
    state.calls |= wire::kSetCapabilities;
    state.cap_bounding_drop = own.cap_bounding & ~image.cap_bounding();
    state.cap_ambient = image.cap_ambient() & ~own.cap_ambient;
    state.cap_ambient_drop = own.cap_ambient & ~image.cap_ambient();
  }
  if (image.no_new_privs() && own.no_new_privs != 1) state.calls |= wire::kSetNoNewPrivs;
}

}  // namespace cryostat::task
