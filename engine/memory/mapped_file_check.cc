#include "engine/memory/mapped_file_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "engine/base/ids.h"
#include "engine/base/plan_report.h"
#include "engine/base/unique_fd.h"
#include "engine/image/mm_image.h"
#include "engine/kernel/constants.h"
#include "engine/memory/file_fingerprint.h"

namespace cryostat::memory {

namespace {

void check_file(const pb::FileFingerprint& dumped, bool writable, PlanReport& report) {
  const int mode = writable ? O_RDWR : O_RDONLY;
  const UniqueFd fd(open(dumped.path().c_str(), mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) {
    const int error = errno;
    report.missing(
        dumped.path(),
        fmt::format("mapped file can't be opened{}: {}", writable ? " for writing" : "",
                    error == ENOENT ? "it does not exist" : errno_name(error)),
        error == ENOENT ? "put the file back where it was at the dump" : "",
        error == EACCES || error == EPERM ? ErrorKind::kPermission : ErrorKind::kMachine);
    return;
  }
  const bool content = !dumped.build_id().empty() || !dumped.content_xxh3_128().empty();
  const auto now = fingerprint_file(
      fd.get(), dumped.path(), content ? ContentCheck::kBuildIdOrHash : ContentCheck::kSizeOnly);
  if (!now) {
    report.missing(dumped.path(), now.error());
    return;
  }
  const std::string difference = fingerprint_difference(dumped, *now);
  if (difference.empty())
    report.ok(dumped.path(), "mapped file is unchanged");
  else
    report.missing(dumped.path(), "mapped file changed since the dump: " + difference);
}

// What the VMAs ask of the kernel.
struct Needs {
  bool guards = false;
  bool droppable = false;
  bool names = false;
  bool seals = false;
  bool mergeable = false;
  bool huge_page_advice = false;
  bool protection_keys = false;
  std::map<uint64_t, uint64_t> huge_pages;  // page size in bytes → pages
};

Needs find_needs(const image::MmImage& mm) {
  Needs needs;
  for (const image::AddressSpaceImage& space : mm.spaces) {
    for (const pb::Vma& vma : space.vmas) {
      if (vma.backing() == pb::Vma::VDSO || vma.backing() == pb::Vma::VVAR) continue;
      needs.guards |= vma.guard_pages_size() > 0;
      needs.droppable |= vma.droppable();
      needs.names |= !vma.name().empty();
      needs.seals |= vma.sealed();
      needs.mergeable |= vma.mergeable();
      needs.huge_page_advice |= vma.huge_page() || vma.no_huge_page();
      needs.protection_keys |= vma.protection_key() != 0;
      const uint64_t size = vma.hugetlb_page_size_bytes();
      if (size != 0 && vma.backing() == pb::Vma::ANONYMOUS)
        needs.huge_pages[size] += (vma.end() - vma.start()) / size;
    }
  }
  for (const pb::SharedMemory& object : mm.shared)
    if (const uint64_t size = object.hugetlb_page_size_bytes(); size != 0)
      needs.huge_pages[size] += (object.size_bytes() + size - 1) / size;
  return needs;
}

// A page of our own to try things on.
class TestPage {
 public:
  explicit TestPage(int flags = MAP_PRIVATE | MAP_ANONYMOUS)
      : at_(mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, flags, -1, 0)) {}
  TestPage(const TestPage&) = delete;
  TestPage& operator=(const TestPage&) = delete;
  ~TestPage() {
    if (valid()) munmap(at_, kPageSize);
  }
  bool valid() const { return at_ != MAP_FAILED; }
  bool takes_advice(int advice) const { return madvise(at_, kPageSize, advice) == 0; }
  bool takes_name() const {
    return prctl(kernel::kPrSetVma, kernel::kPrSetVmaAnonName, at_, kPageSize, "cryostat probe") ==
           0;
  }

 private:
  void* at_;
};

bool has_protection_keys() {
  const long key = syscall(SYS_pkey_alloc, 0, 0);
  if (key < 0) return false;
  syscall(SYS_pkey_free, key);
  return true;
}

void require(bool needed, bool (*available)(), const char* feature, const char* since,
             PlanReport& report) {
  if (!needed) return;
  if (available())
    report.ok(feature, "this kernel has it");
  else
    report.missing(feature, fmt::format("this kernel lacks it ({})", since));
}

void check_huge_pages(const Needs& needs, PlanReport& report) {
  for (const auto& [size, wanted] : needs.huge_pages) {
    const std::string subject = fmt::format("huge pages of {} KiB", size >> 10);
    std::ifstream file(
        fmt::format("/sys/kernel/mm/hugepages/hugepages-{}kB/free_hugepages", size >> 10));
    uint64_t free_pages = 0;
    if (!(file >> free_pages))
      report.missing(subject, "this machine has none of that size");
    else if (free_pages < wanted)
      report.missing(
          subject, fmt::format("{} are needed, {} are free", wanted, free_pages),
          fmt::format("raise /sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages", size >> 10));
    else
      report.ok(subject, fmt::format("{} are needed, {} are free", wanted, free_pages));
  }
}

}  // namespace

Result<void> check_mapped_files(const image::MmImage& mm, PlanReport& report) {
  std::set<std::string> checked;
  for (const pb::MappedFile& file : mm.files) {
    checked.insert(file.fingerprint().path());
    check_file(file.fingerprint(), file.writable(), report);
  }
  for (const image::AddressSpaceImage& space : mm.spaces) {
    const pb::FileFingerprint& exe = space.space.exe();
    if (!exe.path().empty() && checked.insert(exe.path()).second) check_file(exe, false, report);
  }
  const Needs needs = find_needs(mm);
  require(
      needs.guards, [] { return TestPage().takes_advice(kernel::kMadvGuardInstall); },
      "guard regions (MADV_GUARD_INSTALL)", "Linux 6.13", report);
  require(
      needs.droppable, [] { return TestPage(kernel::kMapDroppable | MAP_ANONYMOUS).valid(); },
      "droppable memory (MAP_DROPPABLE)", "Linux 6.11", report);
  require(
      needs.names, [] { return TestPage().takes_name(); }, "names of anonymous memory",
      "CONFIG_ANON_VMA_NAME", report);
  require(
      needs.seals, [] { return syscall(kernel::kSysMseal, 0, 0, 0) == 0; }, "sealed memory (mseal)",
      "Linux 6.10", report);
  require(
      needs.mergeable, [] { return TestPage().takes_advice(MADV_MERGEABLE); },
      "memory merging (MADV_MERGEABLE)", "CONFIG_KSM", report);
  require(
      needs.huge_page_advice, [] { return TestPage().takes_advice(MADV_NOHUGEPAGE); },
      "transparent huge pages", "CONFIG_TRANSPARENT_HUGEPAGE", report);
  require(needs.protection_keys, has_protection_keys, "memory protection keys",
          "the processor or kernel has no PKU", report);
  check_huge_pages(needs, report);
  return {};
}

}  // namespace cryostat::memory
