// Texts of /proc, changed at random: each parser gives values or an error.
#include <array>
#include <string_view>

#include "engine/procfs/auxv.h"
#include "engine/procfs/cpuinfo.h"
#include "engine/procfs/fdinfo.h"
#include "engine/procfs/limits.h"
#include "engine/procfs/maps.h"
#include "engine/procfs/mountinfo.h"
#include "engine/procfs/sched.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/statm.h"
#include "engine/procfs/status.h"
#include "engine/procfs/timers.h"
#include "tests/fuzz/target.h"

namespace {

using cryostat::Result;

// An error must say something: an empty message would be a finding too.
template <typename Value>
void use(const Result<Value>& result) {
  if (!result && result.error().message().empty()) __builtin_trap();
}

using Parser = void (*)(std::string_view text);
// The first byte of an input chooses the parser.
constexpr std::array<Parser, 13> kParsers = {
    [](std::string_view text) { use(cryostat::procfs::parse_maps(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_smaps(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_status(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_fdinfo(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_stat(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_statm(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_limits(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_mountinfo(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_sched(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_timers(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_auxv(text)); },
    [](std::string_view text) { use(cryostat::procfs::parse_cpuinfo(text)); },
    [](std::string_view text) {
      const auto entries = cryostat::procfs::parse_auxv(text);
      if (entries) (void)cryostat::procfs::find_aux(*entries, 0x21);
    },
};

constexpr std::string_view kMaps =
    "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/a b\\012c (deleted)\n"
    "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0   [stack]\n";
constexpr std::string_view kSmaps =
    "7f0000000000-7f0000200000 rw-s 00001000 00:1a 9 /dev/shm/x\n"
    "Size:               2048 kB\nKernelPageSize:        4 kB\nRss:                 124 kB\n"
    "Anonymous:             0 kB\nShared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\n"
    "Swap:                  0 kB\nLocked:                0 kB\nProtectionKey:         0\n"
    "VmFlags: rd wr sh mr mw me ms dc zz\n";
constexpr std::string_view kStatus =
    "Name:\ta\\nb\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t42\nPid:\t42\nPPid:\t1\n"
    "TracerPid:\t0\nUid:\t0\t1\t2\t3\nGid:\t0\t1\t2\t3\nFDSize:\t64\nGroups:\t4 24 27 \n"
    "NStgid:\t42\t1\nNSpid:\t42\t1\nNSpgid:\t42\t1\nNSsid:\t42\t1\nKthread:\t0\nVmSize:\t100 kB\n"
    "VmLck:\t0 kB\nTHP_enabled:\t1\nThreads:\t3\nSigQ:\t0/95510\nSigPnd:\t0000000000000000\n"
    "ShdPnd:\t0000000000000000\nSigBlk:\t0000000000010000\nSigIgn:\t0000000000384004\n"
    "SigCgt:\t000000004b813efb\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\n"
    "CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\n"
    "NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\nx86_Thread_features:\tshstk\n";
constexpr std::string_view kFdInfo =
    "pos:\t4096\nflags:\t02100002\nmnt_id:\t15\nino:\t1067\neventfd-count:               5a\n"
    "eventfd-semaphore: 1\nsigmask:\t0000000000000006\nclockid: 0\nticks: 0\n"
    "settime flags: 01\nit_value: (49, 406829692)\nit_interval: (0, 0)\n"
    "tfd:        5 events:       1d data: ffffffffffffffff  pos:0 ino:61af sdev:7\nPid:\t42\n"
    "lock:\t1: POSIX  ADVISORY  WRITE 42 08:02:173521 0 EOF\n";
constexpr std::string_view kStat =
    "42 (a) b) S 1 42 42 34816 42 4194560 1 2 3 4 5 6 7 8 20 0 3 0 12345 1000000 300 "
    "18446744073709551615 1 2 3 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 1 2 3 4 5 6 7 0\n";
constexpr std::string_view kLimits =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max cpu time              unlimited            unlimited            seconds   \n"
    "Max open files            1024                 524288               files     \n";
constexpr std::string_view kMountInfo =
    "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=c\n";
constexpr std::string_view kSched =
    "a (42, #threads: 1)\n-------------------\n"
    "se.exec_start                                :      11717018.392121\n"
    "se.sum_exec_runtime                          :           100.392121\n";
constexpr std::string_view kTimers =
    "ID: 0\nsignal: 34/00007f0000000000\nnotify: signal/tid.42\nClockID: 1\n";
constexpr std::string_view kAuxv = {
    "\x21\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32};
constexpr std::string_view kCpuInfo =
    "processor\t: 0\nmodel name\t: A Processor\nflags\t\t: fpu vme avx2\n\nprocessor\t: 1\n";

constexpr std::array<std::string_view, kParsers.size()> kTexts = {
    kMaps,  kSmaps,  kStatus, kFdInfo,  kStat, kStat.substr(18, 14), kLimits, kMountInfo,
    kSched, kTimers, kAuxv,   kCpuInfo, kAuxv};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  kParsers[data[0] % kParsers.size()](text.substr(1));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  if (size <= 1) return cryostat::fuzz::place_seed(data, max_size, seed);
  return LLVMFuzzerMutate(data, size, max_size);
}

std::vector<std::string> cryostat::fuzz::seed_inputs() {
  std::vector<std::string> seeds;
  for (size_t i = 0; i < kTexts.size(); ++i)
    seeds.emplace_back(kTexts[i]).insert(0, 1, static_cast<char>(i));
  return seeds;
}
