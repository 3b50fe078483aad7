// The flags of mappings from the kernel's own words, without smaps.
#include "engine/memory/vm_flags_key.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "engine/kernel/vma_iterator.h"
#include "engine/memory/vm_flags_samples.h"
#include "engine/procfs/task_handle.h"
#include "tests/support/catch.h"

using namespace cryostat;
using memory::VmFlagsKey;
using memory::VmFlagsSample;
using procfs::VmFlags;

namespace {

VmFlags flags_with(std::initializer_list<VmFlags::Flag> list) {
  VmFlags flags;
  for (const auto flag : list) flags.set(flag);
  return flags;
}

// Bits 0, 1: told apart; 2 and 3: always together; 4: not printed; 5: always set.
const std::vector<VmFlagsSample> kSamples = {
    {0b100000, flags_with({VmFlags::kMayRead})},
    {0b100001, flags_with({VmFlags::kMayRead, VmFlags::kReadable})},
    {0b100011, flags_with({VmFlags::kMayRead, VmFlags::kReadable, VmFlags::kWritable})},
    {0b101100, flags_with({VmFlags::kMayRead, VmFlags::kShared, VmFlags::kMayShare})},
    {0b110000, flags_with({VmFlags::kMayRead})},
};

}  // namespace

TEST_CASE("VMA flags: words that no sample had, of bits that samples tell apart") {
  const VmFlagsKey key(kSamples);
  CHECK(key.flags_of(0b100010) == flags_with({VmFlags::kMayRead, VmFlags::kWritable}));
  CHECK(key.flags_of(0b111111) ==
        flags_with({VmFlags::kMayRead, VmFlags::kReadable, VmFlags::kWritable, VmFlags::kShared,
                    VmFlags::kMayShare}));
}

TEST_CASE("VMA flags: what the samples do not tell is not guessed") {
  const VmFlagsKey key(kSamples);
  CHECK_FALSE(key.flags_of(0b100100).has_value());   // one of two that were always together
  CHECK_FALSE(key.flags_of(0b000001).has_value());   // without the one that was always set
  CHECK_FALSE(key.flags_of(0b1100000).has_value());  // one that was never set
  CHECK_FALSE(VmFlagsKey({}).flags_of(1).has_value());
}

TEST_CASE("VMA flags: a flag that this build does not know is not read") {
  auto samples = kSamples;
  samples.push_back({0b1100000, flags_with({VmFlags::kMayRead, VmFlags::kUnknown})});
  const VmFlagsKey key(samples);
  CHECK(key.flags_of(0b100001).has_value());
  CHECK_FALSE(key.flags_of(0b1100000).has_value());
}

TEST_CASE("VMA flags: samples that contradict themselves give nothing") {
  auto samples = kSamples;
  samples.push_back({0b100001, flags_with({VmFlags::kMayRead, VmFlags::kDontCopy})});
  CHECK_FALSE(VmFlagsKey(samples).flags_of(0b100001).has_value());
}

TEST_CASE("VMA flags: this kernel's words say what its smaps says") {
  const auto iterator = kernel::VmaIterator::load();
  if (!iterator) {
    WARN("skipped: " << iterator.error().message());
    return;
  }
  const auto samples = memory::sample_vm_flags(*iterator);
  REQUIRE(samples.has_value());
  const VmFlagsKey key(*samples);
  // Combinations that no sample has.
  const size_t bytes = 4 * kPageSize;
  void* const area = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(area != MAP_FAILED);
  for (const int advice : {MADV_DONTFORK, MADV_DONTDUMP, MADV_NOHUGEPAGE, MADV_RANDOM})
    madvise(area, bytes, advice);
  const auto words = iterator->read(HostPid(getpid()));
  const auto printed = procfs::parse_smaps(*(*ProcDir::open("/proc/self")).read("smaps"));
  REQUIRE(words.has_value());
  REQUIRE(printed.has_value());
  size_t compared = 0;
  bool seen = false;
  for (const kernel::KernelVma& word : *words) {
    const auto same = std::ranges::find_if(*printed, [&](const procfs::SmapsEntry& entry) {
      return entry.start == word.start && entry.end == word.end;
    });
    if (same == printed->end()) continue;  // mapped in between
    const auto flags = key.flags_of(word.flags);
    CAPTURE(word.start, word.flags);
    REQUIRE(flags.has_value());
    CHECK(flags->bits() == same->flags.bits());
    ++compared;
    seen = seen || (flags->has(VmFlags::kDontCopy) && flags->has(VmFlags::kDontDump) &&
                    flags->has(VmFlags::kNoHugePage) && flags->has(VmFlags::kRandomRead));
  }
  CHECK(compared > 10);
  CHECK(seen);
  munmap(area, bytes);
}
