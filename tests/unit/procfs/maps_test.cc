#include "engine/procfs/maps.h"

#include <sys/mman.h>

#include <chrono>

#include "engine/procfs/task_handle.h"
#include "tests/support/catch.h"
#include "tests/support/patience.h"

using namespace cryostat;
using procfs::VmFlags;

TEST_CASE("maps: a file, an anonymous area, names with blanks and newlines") {
  const auto maps = procfs::parse_maps(
      "00400000-00452000 r-xp 0001f000 08:02 173521      /usr/bin/dbus daemon\n"
      "35b1800000-35b1820000 rw-s 00000000 00:01 99 /dev/zero (deleted)\n"
      "7fff00000000-7fff00001000 ---p 00000000 00:00 0 \n"
      "7fff00001000-7fff00002000 rw-p 00000000 00:00 0                          [anon:my "
      "(deleted)]\n"
      "ffffffffff600000-ffffffffff601000 --xp 00001000 103:0a 5 /a\\012b\\134c\n");
  REQUIRE(maps);
  REQUIRE(maps->size() == 5);
  const auto& file = (*maps)[0];
  CHECK(file.start == 0x400000);
  CHECK(file.end == 0x452000);
  CHECK(file.protection() == (PROT_READ | PROT_EXEC));
  CHECK_FALSE(file.shared);
  CHECK(file.offset_bytes == 0x1f000);
  CHECK(file.dev_major == 8);
  CHECK(file.dev_minor == 2);
  CHECK(file.inode == 173521);
  CHECK(file.name == "/usr/bin/dbus daemon");
  CHECK((*maps)[1].shared);
  CHECK((*maps)[1].deleted);
  CHECK((*maps)[1].name == "/dev/zero");
  CHECK((*maps)[2].name.empty());
  CHECK((*maps)[2].protection() == PROT_NONE);
  CHECK((*maps)[3].name == "[anon:my (deleted)]");
  CHECK_FALSE((*maps)[3].deleted);
  CHECK((*maps)[4].dev_major == 0x103);
  CHECK((*maps)[4].name == "/a\nb\\c");
}

TEST_CASE("maps: malformed or disordered text is an error") {
  const std::string good = "00400000-00452000 r-xp 0001f000 08:02 173521 /x\n";
  for (size_t length = 1; length < good.find(" 173521") + 2; ++length) {
    CHECK_FALSE(procfs::parse_maps(std::string_view(good).substr(0, length)));
  }
  CHECK_FALSE(procfs::parse_maps(good + good));
  CHECK_FALSE(procfs::parse_maps("00452000-00400000 r-xp 0 08:02 1 /x\n"));
  CHECK_FALSE(procfs::parse_maps("11111111100400000-00452000 r-xp 0 08:02 1 /x\n"));
}

TEST_CASE("smaps: numbers and flags") {
  const auto smaps = procfs::parse_smaps(
      "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \n"
      "Size:               2048 kB\nKernelPageSize:     2048 kB\nMMUPageSize:        2048 kB\n"
      "Rss:                  12 kB\nAnonymous:            8 kB\nAnonHugePages:      2048 kB\n"
      "Private_Hugetlb:    2048 kB\nSwap:                 4 kB\nLocked:               16 kB\n"
      "ProtectionKey:         3\nVmFlags: rd wr mr mw me dc lo lf ht wf zz gu sl \n");
  REQUIRE(smaps);
  REQUIRE(smaps->size() == 1);
  const auto& area = smaps->front();
  CHECK(area.kernel_page_size_bytes == 2048 * 1024);
  CHECK(area.rss_bytes == 12 * 1024);
  CHECK(area.anonymous_bytes == 8 * 1024);
  CHECK(area.private_hugetlb_bytes == 2048 * 1024);
  CHECK(area.swap_bytes == 4096);
  CHECK(area.locked_bytes == 16384);
  CHECK(area.protection_key == 3);
  for (const auto flag : {VmFlags::kReadable, VmFlags::kDontCopy, VmFlags::kLocked,
                          VmFlags::kLockedOnFault, VmFlags::kHugeTlb, VmFlags::kWipeOnFork,
                          VmFlags::kGuard, VmFlags::kSealed, VmFlags::kUnknown}) {
    CHECK(area.flags.has(flag));
  }
  CHECK_FALSE(area.flags.has(VmFlags::kGrowsDown));
  CHECK(area.unknown_flags == "zz");
}

TEST_CASE("smaps: malformed text is an error") {
  CHECK_FALSE(procfs::parse_smaps("Rss: 12 kB\n"));
  const std::string head = "00400000-00452000 r-xp 0001f000 08:02 173521 /x\n";
  CHECK_FALSE(procfs::parse_smaps(head + "Rss: kB\n"));
  CHECK_FALSE(procfs::parse_smaps(head + "Rss\n"));
  CHECK_FALSE(procfs::parse_smaps(head + ":\n"));
  CHECK(procfs::parse_smaps(head + "Unheard: of\n"));
}

TEST_CASE("smaps: our own agrees with maps") {
  const auto dir = ProcDir::open("/proc/self");
  REQUIRE(dir);
  void* page = mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(page, 4096, MADV_DONTFORK);
  const auto smaps = procfs::parse_smaps(*dir->read("smaps"));
  REQUIRE(smaps);
  bool seen = false;
  for (const auto& area : *smaps) {
    if (area.start == reinterpret_cast<uint64_t>(page)) {
      seen = true;
      CHECK(area.end - area.start == 4096);
      CHECK(area.flags.has(VmFlags::kDontCopy));
    }
    CHECK_FALSE(area.flags.has(VmFlags::kUnknown));
  }
  CHECK(seen);
  // Where the kernel has no vsyscall page (vsyscall=none) the vDSO or the stack is last.
  CHECK(smaps->back().name.starts_with('['));
  munmap(page, 8192);
}

TEST_CASE("smaps: three hundred areas parse in well under a millisecond") {
  std::string text;
  for (unsigned i = 0; i < 300; ++i) {
    char head[128];
    snprintf(head, sizeof(head), "%lx-%lx rw-p 00000000 fe:00 247498      /usr/lib/libx.so.%u\n",
             0x7f0000000000 + i * 0x2000ul, 0x7f0000000000 + i * 0x2000ul + 0x1000, i);
    text += head;
    for (const char* key : {"Size",          "KernelPageSize", "MMUPageSize",     "Rss",
                            "Pss",           "Pss_Dirty",      "Shared_Clean",    "Shared_Dirty",
                            "Private_Clean", "Private_Dirty",  "Referenced",      "Anonymous",
                            "KSM",           "LazyFree",       "AnonHugePages",   "ShmemPmdMapped",
                            "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb", "Swap",
                            "SwapPss",       "Locked"}) {
      text += std::string(key) + ":                  4 kB\n";
    }
    text += "THPeligible:           0\nVmFlags: rd wr mr mw me ac sd \n";
  }
  auto best = std::chrono::nanoseconds::max();
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const auto smaps = procfs::parse_smaps(text);
    best = std::min<std::chrono::nanoseconds>(best, std::chrono::steady_clock::now() - start);
    REQUIRE(smaps);
    REQUIRE(smaps->size() == 300);
  }
  INFO("took " << best.count() << " ns");
#if !defined(__SANITIZE_ADDRESS__)
  CHECK(best < std::chrono::milliseconds(1) * testing::patience());
#endif
}
