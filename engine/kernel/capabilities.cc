#include "engine/kernel/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>

#include "engine/kernel/constants.h"

namespace cryostat::kernel {

namespace {
constexpr const char* kNames[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};
static_assert(std::size(kNames) == kCapCheckpointRestore + 1);
}  // namespace

Result<uint64_t> effective_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return fail_errno("get own capabilities");
  return uint64_t{data[1].effective} << 32 | data[0].effective;
}

Result<Privileges> this_privileges() {
  Privileges privileges;
  privileges.effective = TRY(effective_capabilities());
  privileges.sys_admin = privileges.has(kCapSysAdmin);
  privileges.checkpoint_restore = privileges.sys_admin || privileges.has(kCapCheckpointRestore);
  privileges.sys_ptrace = privileges.has(kCapSysPtrace);
  privileges.sys_resource = privileges.has(kCapSysResource);
  return privileges;
}

std::string capability_name(int capability) {
  if (capability < 0 || static_cast<size_t>(capability) >= std::size(kNames)) {
    return "capability " + std::to_string(capability);
  }
  return std::string("CAP_") + kNames[capability];
}

}  // namespace cryostat::kernel
