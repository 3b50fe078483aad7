// Kernel ABI numbers that the headers of supported distributions may lack. Values are ABI: they
// never change; each says since which kernel it exists. Presence is probed (probes.h), never
// assumed.
#pragma once

#include <cstdint>

namespace cryostat::kernel {

// prctl(2)
inline constexpr int kPrSetMemoryMerge = 67;         // PR_SET_MEMORY_MERGE, 6.4
inline constexpr int kPrGetMemoryMerge = 68;         // PR_GET_MEMORY_MERGE, 6.4
inline constexpr int kPrSetMdwe = 65;                // PR_SET_MDWE, 6.3
inline constexpr int kPrGetMdwe = 66;                // PR_GET_MDWE, 6.3
inline constexpr int kPrTimerCreateRestoreIds = 77;  // PR_TIMER_CREATE_RESTORE_IDS, 6.15
inline constexpr int kPrTimerCreateRestoreIdsOff = 0;
inline constexpr int kPrTimerCreateRestoreIdsOn = 1;
inline constexpr int kPrTimerCreateRestoreIdsGet = 2;
inline constexpr int kPrSetVma = 0x53564d41;  // PR_SET_VMA, 5.17
inline constexpr int kPrSetVmaAnonName = 0;

// mmap(2)
inline constexpr int kMapDroppable = 0x08;  // MAP_DROPPABLE, 6.11

// madvise(2)
inline constexpr int kMadvCollapse = 25;       // MADV_COLLAPSE, 6.1
inline constexpr int kMadvGuardInstall = 102;  // MADV_GUARD_INSTALL, 6.13
inline constexpr int kMadvGuardRemove = 103;   // MADV_GUARD_REMOVE, 6.13

// ptrace(2)
inline constexpr int kPtraceGetRseqConfiguration = 0x420f;          // 5.13
inline constexpr int kPtraceSetSyscallUserDispatchConfig = 0x4210;  // 6.4
inline constexpr int kPtraceGetSyscallUserDispatchConfig = 0x4211;  // 6.4
inline constexpr int kPtraceSetSyscallInfo = 0x4212;                // 6.16

// System calls
inline constexpr int kSysMseal = 462;      // 6.10
inline constexpr int kSysStatmount = 457;  // 6.8
inline constexpr int kSysFutexWait = 455;  // 6.7

// userfaultfd(2) features
inline constexpr uint64_t kUffdFeatureWpUnpopulated = uint64_t{1} << 13;  // 6.4
inline constexpr uint64_t kUffdFeatureWpAsync = uint64_t{1} << 15;        // 6.7

// capabilities(7)
inline constexpr int kCapSysPtrace = 19;
inline constexpr int kCapSysAdmin = 21;
inline constexpr int kCapSysResource = 24;
inline constexpr int kCapCheckpointRestore = 40;  // 5.9

}  // namespace cryostat::kernel
