// Numbers and structs of the calls that read and set task and thread state, for the blobs and the
// engine alike: plain constants, since the headers of older distributions lack some of them.
#pragma once

#include <cstdint>

namespace cryostat::wire::calls {

// prctl(2), linux/prctl.h.
inline constexpr uint64_t kPrSetPdeathsig = 1;
inline constexpr uint64_t kPrGetPdeathsig = 2;
inline constexpr uint64_t kPrGetDumpable = 3;
inline constexpr uint64_t kPrSetDumpable = 4;
inline constexpr uint64_t kPrSetName = 15;
inline constexpr uint64_t kPrGetName = 16;
inline constexpr uint64_t kPrGetSeccomp = 21;
inline constexpr uint64_t kPrSetSeccomp = 22;
inline constexpr uint64_t kPrCapbsetRead = 23;
inline constexpr uint64_t kPrCapbsetDrop = 24;
inline constexpr uint64_t kPrGetTsc = 25;
inline constexpr uint64_t kPrSetTsc = 26;
inline constexpr uint64_t kPrGetSecurebits = 27;
inline constexpr uint64_t kPrSetSecurebits = 28;
inline constexpr uint64_t kPrSetTimerslack = 29;
inline constexpr uint64_t kPrGetTimerslack = 30;
inline constexpr uint64_t kPrMceKill = 33;
inline constexpr uint64_t kPrMceKillClear = 0;
inline constexpr uint64_t kPrMceKillSet = 1;
inline constexpr uint64_t kPrMceKillDefault = 2;  // what PR_MCE_KILL_GET returns when not set
inline constexpr uint64_t kPrMceKillGet = 34;
inline constexpr uint64_t kPrSetChildSubreaper = 36;
inline constexpr uint64_t kPrGetChildSubreaper = 37;
inline constexpr uint64_t kPrSetNoNewPrivs = 38;
inline constexpr uint64_t kPrGetNoNewPrivs = 39;
inline constexpr uint64_t kPrGetTidAddress = 40;
inline constexpr uint64_t kPrSetThpDisable = 41;
inline constexpr uint64_t kPrGetThpDisable = 42;
inline constexpr uint64_t kPrCapAmbient = 47;
inline constexpr uint64_t kPrCapAmbientIsSet = 1;
inline constexpr uint64_t kPrCapAmbientRaise = 2;
inline constexpr uint64_t kPrCapAmbientLower = 3;
inline constexpr uint64_t kPrGetSpeculationCtrl = 52;
inline constexpr uint64_t kPrSetSpeculationCtrl = 53;
inline constexpr uint64_t kSpecStoreBypass = 0;
inline constexpr uint64_t kSpecIndirectBranch = 1;
inline constexpr uint64_t kSpecL1dFlush = 2;
inline constexpr uint64_t kPrSetIoFlusher = 57;
inline constexpr uint64_t kPrGetIoFlusher = 58;
inline constexpr uint64_t kMembarrierGetRegistrations = 1 << 9;  // 6.3
inline constexpr uint64_t kPrSetMdwe = 65;                       // 6.3
inline constexpr uint64_t kPrGetMdwe = 66;
inline constexpr uint64_t kPrSetMemoryMerge = 67;  // 6.4
inline constexpr uint64_t kPrGetMemoryMerge = 68;
inline constexpr uint64_t kPrTimerCreateRestoreIds = 77;  // 6.15: 0 off, 1 on, 2 get

// arch_prctl(2), asm/prctl.h.
inline constexpr uint64_t kArchGetCpuid = 0x1011;
inline constexpr uint64_t kArchSetCpuid = 0x1012;
inline constexpr uint64_t kArchGetXcompPerm = 0x1022;  // 5.16
inline constexpr uint64_t kArchReqXcompPerm = 0x1023;
inline constexpr uint64_t kArchGetUntagMask = 0x4001;  // 6.4
inline constexpr uint64_t kArchShstkStatus = 0x5005;   // 6.6

inline constexpr uint64_t kIoprioWhoProcess = 1;
inline constexpr uint64_t kPrioProcess = 0;  // PRIO_PROCESS; 0 is the calling thread

// waitid(2): idtype and options.
inline constexpr uint64_t kWaitAll = 0;
inline constexpr uint64_t kWaitNoHang = 1;
inline constexpr uint64_t kWaitStopped = 2;
inline constexpr uint64_t kWaitExited = 4;
inline constexpr uint64_t kWaitContinued = 8;
inline constexpr uint64_t kWaitLeaveStatus = 0x01000000;    // WNOWAIT
inline constexpr uint64_t kWaitCloneChildren = 0x80000000;  // __WCLONE

// securebits(7).
inline constexpr uint32_t kSecbitNoSetuidFixup = 1u << 2;

// struct __user_cap_header_struct, __user_cap_data_struct (capget(2)), version 3.
struct CapHeader {
  uint32_t version = 0x20080522;
  int32_t pid = 0;
};
struct CapData {
  uint32_t effective = 0;
  uint32_t permitted = 0;
  uint32_t inheritable = 0;
};
static_assert(sizeof(CapHeader) == 8 && sizeof(CapData) == 12);

// stack_t.
struct KernelStack {
  uint64_t address = 0;
  int32_t flags = 0;
  uint32_t reserved = 0;
  uint64_t size_bytes = 0;
};
static_assert(sizeof(KernelStack) == 24);

// struct sigevent; the union's first member is the thread id of SIGEV_THREAD_ID.
struct KernelSigevent {
  uint64_t value = 0;
  int32_t signal = 0;
  int32_t notify = 0;
  int32_t tid = 0;
  uint32_t reserved[11] = {};
};
static_assert(sizeof(KernelSigevent) == 64);

struct KernelTimespec {
  int64_t s = 0;
  int64_t ns = 0;
};
struct KernelItimerspec {
  KernelTimespec interval;
  KernelTimespec remaining;
};
static_assert(sizeof(KernelItimerspec) == 32);

// struct sock_fprog.
struct KernelFilterProgram {
  uint16_t length = 0;
  uint16_t reserved[3] = {};
  uint64_t instructions = 0;  // address of struct sock_filter[length]
};
static_assert(sizeof(KernelFilterProgram) == 16);

// struct sched_attr of 5.3 and later.
struct KernelSchedAttr {
  uint32_t size = 0;
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime_ns = 0;
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
  uint32_t util_min = 0;
  uint32_t util_max = 0;
};
static_assert(sizeof(KernelSchedAttr) == 56);

}  // namespace cryostat::wire::calls
