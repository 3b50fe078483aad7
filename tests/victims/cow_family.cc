// Memory that a family shares copy-on-write: as it was inherited, partly written, unmapped,
// protected, given back, shared among brothers and sisters alone, by a grandchild. Each member
// knows what it must find, and that its mappings are what they were.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cstring>
#include <vector>

#include "tests/victims/victim.h"

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kBytes = 4 << 20;  // of each area
constexpr size_t kPages = kBytes / kPage;

struct Area {
  unsigned char* at = nullptr;
  unsigned char* page(size_t index) const { return at + index * kPage; }
};
Area g_plain, g_huge, g_gone, g_file;

// What a member must find in a page: who has written it last, or that it is zero or not there.
enum : unsigned char { kUnmapped = 0xfe, kZero = 0xff };
struct Expected {
  unsigned char plain[kPages] = {}, huge[kPages] = {}, gone[kPages] = {}, file[kPages] = {};
};
Expected g_expected;  // each process has its own

void write_page(Area area, unsigned char* expected, size_t index, unsigned char writer) {
  victim::Pattern::fill(area.page(index), kPage, index * 256 + writer);
  expected[index] = writer;
}

int wrong_pages(Area area, const unsigned char* expected) {
  int wrong = 0;
  for (size_t i = 0; i < kPages; ++i) {
    if (expected[i] == kUnmapped) continue;
    const bool right = expected[i] == kZero
                           ? victim::all_zero(area.page(i), kPage)
                           : victim::Pattern::matches(area.page(i), kPage, i * 256 + expected[i]);
    wrong += right ? 0 : 1;
  }
  return wrong;
}

char g_maps[256 << 10], g_maps_now[256 << 10];

size_t read_maps(char* to) {
  const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  size_t size = 0;
  for (ssize_t got; (got = read(fd, to + size, sizeof(g_maps) - size - 1)) > 0;)
    size += static_cast<size_t>(got);
  close(fd);
  to[size] = 0;
  return size;
}

struct Report {
  int plain, huge, gone, file, maps_differ;
};

Report report_now() {
  read_maps(g_maps_now);
  Report report{wrong_pages(g_plain, g_expected.plain), wrong_pages(g_huge, g_expected.huge),
                wrong_pages(g_gone, g_expected.gone), wrong_pages(g_file, g_expected.file),
                std::strcmp(g_maps, g_maps_now) == 0 ? 0 : 1};
  return report;
}

[[noreturn]] void serve(int request, int answer) {
  for (char byte; read(request, &byte, 1) == 1;) {
    if (byte == 'm') read_maps(g_maps);
    const Report report = report_now();
    if (write(answer, &report, sizeof(report)) != sizeof(report)) break;
  }
  _exit(0);
}

struct Member {
  const char* name;
  int request, answer;
  Report ask(char what) const {
    Report report{-1, -1, -1, -1, -1};
    if (write(request, &what, 1) != 1 || read(answer, &report, sizeof(report)) != sizeof(report))
      report.plain = -1;
    return report;
  }
};

std::vector<Member> g_members;

template <typename Change>
void start(const char* name, Change change) {
  int request[2], answer[2];
  if (pipe(request) != 0 || pipe(answer) != 0) _exit(2);
  if (fork() == 0) {
    close(request[1]);
    close(answer[0]);
    change();
    serve(request[0], answer[1]);
  }
  close(request[0]);
  close(answer[1]);
  g_members.push_back({name, request[1], answer[0]});
  g_members.back().ask('m');  // it has changed what it changes
}

Area map_area(victim::Victim& self, int fd, unsigned char* expected) {
  const int flags = MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0);
  // Alone, so that no neighbour is joined to it.
  void* const at = mmap(nullptr, kBytes + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Area area{static_cast<unsigned char*>(at) + kPage};
  self.must(mmap(area.at, kBytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == area.at,
            "mmap");
  std::memset(expected, kZero, kPages);
  return area;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const int fd = open(self.path("mapped").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  self.must(fd >= 0 && ftruncate(fd, kBytes) == 0, "file");
  g_plain = map_area(self, -1, g_expected.plain);
  g_huge = map_area(self, -1, g_expected.huge);
  madvise(g_huge.at, kBytes, MADV_HUGEPAGE);
  g_gone = map_area(self, -1, g_expected.gone);
  g_file = map_area(self, fd, g_expected.file);
  for (size_t i = 0; i < kPages; ++i) {
    if (i % 7 != 6) write_page(g_plain, g_expected.plain, i, 1);
    write_page(g_huge, g_expected.huge, i, 1);
    if (i < 300) write_page(g_gone, g_expected.gone, i, 1);
    if (i % 3 == 0) write_page(g_file, g_expected.file, i, 1);
  }

  start("heir", [] {});
  start("writer", [] {
    for (size_t i = 0; i < kPages; i += 5) write_page(g_plain, g_expected.plain, i, 2);
    for (size_t i = 100; i < 140; ++i) write_page(g_huge, g_expected.huge, i, 2);
    for (size_t i = 1; i < 20; ++i) write_page(g_file, g_expected.file, i, 2);
  });
  start("cutter", [] {  // a hole, and a shorter area
    munmap(g_plain.page(200), 100 * kPage);
    std::memset(g_expected.plain + 200, kUnmapped, 100);
    munmap(g_gone.page(kPages / 2), kBytes / 2);
    std::memset(g_expected.gone + kPages / 2, kUnmapped, kPages / 2);
  });
  start("protector", [] {
    mprotect(g_plain.page(300), 50 * kPage, PROT_READ);
    mprotect(g_huge.page(600), 100 * kPage, PROT_READ);
    madvise(g_gone.at, kBytes, MADV_DONTFORK);
    madvise(g_file.at, kBytes, MADV_DONTDUMP);
  });
  start("giver", [] {  // pages given back read as zero, or as the file has them
    madvise(g_plain.page(64), 64 * kPage, MADV_DONTNEED);
    std::memset(g_expected.plain + 64, kZero, 64);
    madvise(g_huge.page(10), 20 * kPage, MADV_DONTNEED);
    std::memset(g_expected.huge + 10, kZero, 20);
    madvise(g_file.page(30), 30 * kPage, MADV_DONTNEED);
    std::memset(g_expected.file + 30, kZero, 30);
  });
  start("grandchild", [] {
    write_page(g_plain, g_expected.plain, 7, 3);
    if (const pid_t child = fork(); child != 0) {
      // What the child keeps, its parent changes.
      for (size_t i = 400; i < 500; ++i) write_page(g_plain, g_expected.plain, i, 4);
      waitpid(child, nullptr, 0);
      _exit(0);
    }
    write_page(g_plain, g_expected.plain, 8, 5);
  });
  // From here on the children share with each other only.
  munmap(g_gone.at, kBytes);
  std::memset(g_expected.gone, kUnmapped, kPages);
  for (size_t i = 700; i < 900; ++i) write_page(g_plain, g_expected.plain, i, 6);
  std::vector<unsigned char> heap(300 << 10, 7);
  read_maps(g_maps);

  self.ready_and_wait();

  const auto check = [&](const char* name, const Report& report) {
    self.expect(report.plain == 0 && report.huge == 0 && report.gone == 0 && report.file == 0,
                "%s: wrong pages: %d plain, %d huge, %d gone, %d of the file", name, report.plain,
                report.huge, report.gone, report.file);
    self.expect(report.maps_differ == 0, "%s: the maps differ", name);
  };
  check("root", report_now());
  if (std::strcmp(g_maps, g_maps_now) != 0)
    self.expect(false, "was:\n%s\nis:\n%s", g_maps, g_maps_now);
  for (const Member& member : g_members) check(member.name, member.ask('?'));
  // What one writes the others don't see.
  for (size_t i = 0; i < kPages; ++i) write_page(g_plain, g_expected.plain, i, 9);
  check("root, written to", report_now());
  for (const Member& member : g_members) check(member.name, member.ask('?'));
  for (const Member& member : g_members) close(member.request);
  while (wait(nullptr) > 0) {
  }
  return self.finish();
}
