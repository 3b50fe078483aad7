#include "engine/memory/address_space.h"

#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "engine/base/refusals.h"
#include "engine/memory/mapped_file_table.h"
#include "engine/memory/shared_memory.h"
#include "engine/memory/smaps_reader.h"
#include "engine/procfs/task_handle.h"
#include "tests/support/catch.h"
#include "tests/unit/memory/stopped_child.h"

namespace cryostat::memory {
namespace {

struct Collected {
  SharedMemoryTable shared;
  MappedFileTable files;
  Refusals refusals;
  AddressSpaceState state;

  const pb::Vma* at(const void* address) const {
    const auto wanted = reinterpret_cast<uint64_t>(address);
    for (const pb::Vma& vma : state.vmas)
      if (vma.start() <= wanted && wanted < vma.end()) return &vma;
    return nullptr;
  }
};

void collect(HostPid pid, Collected& out, CollectOptions options = {}) {
  const auto task = TaskHandle::open(pid);
  REQUIRE(task.has_value());
  auto state = collect_address_space(*task, options, out.shared, out.files, out.refusals);
  if (!state) FAIL(state.error().message());
  out.state = std::move(*state);
}

char* map_pages(size_t pages, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1) {
  void* const at = mmap(nullptr, pages * kPageSize, PROT_READ | PROT_WRITE, flags, fd, 0);
  REQUIRE(at != MAP_FAILED);
  return static_cast<char*>(at);
}

TEST_CASE("every mapping of a process is described") {
  const UniqueFd memfd(memfd_create("named", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(ftruncate(memfd.get(), 4 * kPageSize) == 0);
  REQUIRE(fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  char* const plain = map_pages(4);
  char* const shared = map_pages(4, MAP_SHARED | MAP_ANONYMOUS);
  char* const named = map_pages(4, MAP_SHARED, memfd.get());
  REQUIRE(madvise(plain, kPageSize, MADV_DONTFORK) == 0);
  REQUIRE(madvise(plain, kPageSize, MADV_DOFORK) == 0);
  const StoppedChild child([plain] {
    madvise(plain, 4 * kPageSize, MADV_DONTDUMP);
    plain[0] = 1;
  });
  Collected found;
  collect(child.pid(), found);
  CHECK(found.refusals.empty());

  const pb::Vma* vma = found.at(plain);
  REQUIRE(vma != nullptr);
  CHECK(vma->backing() == pb::Vma::ANONYMOUS);
  CHECK(vma->dont_dump());
  vma = found.at(shared);
  REQUIRE(vma != nullptr);
  CHECK(vma->backing() == pb::Vma::SHARED_MEMORY);
  CHECK(found.shared.objects()[vma->shared_memory_id() - 1].kind ==
        SharedMemoryKind::kAnonymousShared);
  vma = found.at(named);
  REQUIRE(vma != nullptr);
  REQUIRE(vma->backing() == pb::Vma::SHARED_MEMORY);
  const SharedMemoryObject& object = found.shared.objects()[vma->shared_memory_id() - 1];
  CHECK(object.kind == SharedMemoryKind::kMemfd);
  CHECK(object.name == "named");
  CHECK(object.size_bytes == 4 * kPageSize);
  CHECK(object.seals == F_SEAL_SHRINK);
  // Found again by its descriptor.
  CHECK(found.shared.intern(memfd.get(), SharedMemoryKind::kMemfd, "named") ==
        vma->shared_memory_id());

  const pb::AddressSpace& space = found.state.space;
  CHECK(space.vdso_start() != 0);
  CHECK(space.vdso_image().size() == space.vdso_size_bytes());
  CHECK(space.vvar_size_bytes() > 0);
  CHECK(space.layout().start_stack() != 0);
  CHECK_FALSE(space.layout().auxv().empty());
  CHECK(space.vma_count() == found.state.vmas.size());
  char exe[4096] = {};
  REQUIRE(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
  REQUIRE(found.state.exe_file_id != 0);
  REQUIRE(found.files.fingerprint().has_value());
  const pb::FileFingerprint& print = found.files.files()[found.state.exe_file_id - 1].fingerprint();
  CHECK(print.path() == exe);
  CHECK(print.build_id().size() + print.content_xxh3_128().size() > 0);
  munmap(plain, 4 * kPageSize);
  munmap(shared, 4 * kPageSize);
  munmap(named, 4 * kPageSize);
}

TEST_CASE("the parasite's area is left out, also where it was merged with a neighbour") {
  char* const area = map_pages(16);
  const StoppedChild child([] {});
  const auto start = reinterpret_cast<uint64_t>(area);
  Collected found;
  CollectOptions options;
  options.parasite_area = {start + 4 * kPageSize, start + 8 * kPageSize};
  collect(child.pid(), found, options);
  CHECK(found.at(area) != nullptr);
  CHECK(found.at(area + 4 * kPageSize) == nullptr);
  CHECK(found.at(area + 7 * kPageSize) == nullptr);
  CHECK(found.at(area + 8 * kPageSize) != nullptr);
  munmap(area, 16 * kPageSize);
}

TEST_CASE("System V shared memory is refused by name") {
  const int id = shmget(IPC_PRIVATE, kPageSize, IPC_CREAT | 0600);
  REQUIRE(id >= 0);
  void* const at = shmat(id, nullptr, 0);
  shmctl(id, IPC_RMID, nullptr);
  const StoppedChild child([] {});
  Collected found;
  collect(child.pid(), found);
  REQUIRE(found.refusals.lines().size() == 1);
  CHECK(found.refusals.lines()[0].find("System V shared memory") != std::string::npos);
  shmdt(at);
}

TEST_CASE("mapped deleted files are kept up to the ghost limit") {
  char path[] = "/var/tmp/cryostat-unit-XXXXXX";
  const UniqueFd fd(mkstemp(path));
  REQUIRE(fd.valid());
  REQUIRE(ftruncate(fd.get(), 8 * kPageSize) == 0);
  char* const area = map_pages(8, MAP_PRIVATE, fd.get());
  {
    const StoppedChild child([] {});
    Collected found;
    collect(child.pid(), found);
    REQUIRE(found.at(area) != nullptr);
    CHECK(found.at(area)->backing() == pb::Vma::FILE);
    CHECK(found.files.files()[found.at(area)->file_id() - 1].fingerprint().path() == path);
  }
  unlink(path);
  const StoppedChild child([] {});
  {
    Collected found;
    collect(child.pid(), found);
    REQUIRE(found.at(area) != nullptr);
    CHECK(found.at(area)->backing() == pb::Vma::SHARED_MEMORY);
    CHECK(found.shared.objects()[0].kind == SharedMemoryKind::kDeletedFile);
    CHECK(found.shared.objects()[0].name == path);
  }
  Collected found;
  CollectOptions options;
  options.ghost_limit_bytes = 4 * kPageSize;
  collect(child.pid(), found, options);
  REQUIRE(found.refusals.lines().size() == 1);
  CHECK(found.refusals.lines()[0].find("--ghost-limit") != std::string::npos);
  munmap(area, 8 * kPageSize);
}

TEST_CASE("areas read on another thread are those of the task asked for") {
  char* const area = map_pages(3);
  const StoppedChild with([] {});
  munmap(area, 3 * kPageSize);
  const StoppedChild without([] {});
  const auto first = TaskHandle::open(with.pid());
  const auto second = TaskHandle::open(without.pid());
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  const auto has_area = [&](const std::vector<procfs::SmapsEntry>& areas) {
    return std::ranges::any_of(areas, [&](const procfs::SmapsEntry& entry) {
      return entry.start <= reinterpret_cast<uint64_t>(area) &&
             reinterpret_cast<uint64_t>(area) < entry.end;
    });
  };
  SmapsReader reader;
  reader.request(*first);
  reader.request(*second);
  const auto of_second = reader.take(*second);
  const auto of_first = reader.take(*first);
  const auto not_asked_for = reader.take(*first);
  REQUIRE(of_first.has_value());
  REQUIRE(of_second.has_value());
  REQUIRE(not_asked_for.has_value());
  CHECK(has_area(*of_first));
  CHECK_FALSE(has_area(*of_second));
  CHECK(has_area(*not_asked_for));
  reader.request(*first);  // and never taken
}

}  // namespace
}  // namespace cryostat::memory
