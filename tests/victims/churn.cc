// Memory that changes all the time: writes, maps, unmaps, moves, grows, protects, advises and forks
// at random, by seed. Every page holds what the victim believes it holds; "sequence" counts steps.
// Arguments: seed.
#include <sys/mman.h>
#include <sys/wait.h>

#include <map>
#include <vector>

#include "tests/victims/victim.h"

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kMostAreas = 24;
constexpr size_t kMostPages = 64;
constexpr uint64_t kFromFile = ~uint64_t{0};  // the page is the file's

struct Area {
  unsigned char* start = nullptr;
  bool of_file = false;
  int protection = PROT_READ | PROT_WRITE;
  // What each page holds: the seed of its pattern, 0 for zeroes, kFromFile.
  std::vector<uint64_t> pages;
  size_t bytes() const { return pages.size() * kPage; }
};

class Churn {
 public:
  Churn(victim::Victim& self, uint64_t seed) : self_(self), random_(seed), file_(make_file(self)) {}

  void step() {
    switch (pick(12)) {
      case 0:
        return add();
      case 1:
        return remove();
      case 2:
        return resize();
      case 3:
        return move();
      case 4:
        return forget();
      case 5:
        return protect();
      case 6:
        return fork_child();
      case 7:
        return zero();
      default:
        return write();
    }
  }

  void check() {
    for (Area& area : areas_) {
      mprotect(area.start, area.bytes(), PROT_READ | PROT_WRITE);
      for (size_t i = 0; i < area.pages.size(); ++i) check_page(area, i);
    }
  }

 private:
  static int make_file(victim::Victim& self) {
    const int fd = open(self.path("content").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    self.must(fd >= 0, "open");
    std::vector<uint64_t> content(kPage / 8);
    for (size_t i = 0; i < kMostPages; ++i) {
      victim::Pattern::fill(content.data(), kPage, 1000 + i);
      self.must(::write(fd, content.data(), kPage) == static_cast<ssize_t>(kPage), "write");
    }
    return fd;
  }

  uint64_t pick(uint64_t count) { return random_.next() % count; }
  Area* some() { return areas_.empty() ? nullptr : &areas_[pick(areas_.size())]; }
  // Writable for a moment.
  void open_area(Area& area) { mprotect(area.start, area.bytes(), PROT_READ | PROT_WRITE); }
  void close_area(Area& area) { mprotect(area.start, area.bytes(), area.protection); }

  void check_page(const Area& area, size_t index) {
    const unsigned char* const page = area.start + index * kPage;
    const uint64_t tag = area.pages[index];
    const bool good = tag == 0           ? victim::all_zero(page, kPage)
                      : tag == kFromFile ? victim::Pattern::matches(page, kPage, 1000 + index)
                                         : victim::Pattern::matches(page, kPage, tag);
    self_.expect(good, "page %zu of the area at %p is not what it was", index,
                 static_cast<const void*>(area.start));
  }

  void add() {
    if (areas_.size() == kMostAreas) return remove();
    Area area;
    area.of_file = pick(4) == 0;
    area.pages.assign(1 + pick(kMostPages), area.of_file ? kFromFile : 0);
    void* const at =
        area.of_file ? mmap(nullptr, area.bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE, file_, 0)
                     : mmap(nullptr, area.bytes(), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!self_.expect(at != MAP_FAILED, "mmap: %s", strerror(errno))) return;
    area.start = static_cast<unsigned char*>(at);
    areas_.push_back(area);
  }

  void remove() {
    if (areas_.empty()) return;
    const size_t which = pick(areas_.size());
    munmap(areas_[which].start, areas_[which].bytes());
    areas_.erase(areas_.begin() + static_cast<long>(which));
  }

  // Anonymous areas grow with zeroes.
  void resize() {
    Area* const area = some();
    if (area == nullptr || area->of_file) return;
    const size_t pages = 1 + pick(kMostPages);
    void* const at = mremap(area->start, area->bytes(), pages * kPage, MREMAP_MAYMOVE);
    if (!self_.expect(at != MAP_FAILED, "mremap: %s", strerror(errno))) return;
    area->start = static_cast<unsigned char*>(at);
    area->pages.resize(pages, 0);
  }

  // Often to where another area was before.
  void move() {
    Area* const area = some();
    if (area == nullptr) return;
    void* const place = mmap(nullptr, area->bytes(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return;
    void* const at =
        mremap(area->start, area->bytes(), area->bytes(), MREMAP_MAYMOVE | MREMAP_FIXED, place);
    if (self_.expect(at != MAP_FAILED, "mremap: %s", strerror(errno)))
      area->start = static_cast<unsigned char*>(at);
  }

  void forget() {
    Area* const area = some();
    if (area == nullptr) return;
    const size_t first = pick(area->pages.size());
    const size_t count = 1 + pick(area->pages.size() - first);
    madvise(area->start + first * kPage, count * kPage, MADV_DONTNEED);
    for (size_t i = first; i < first + count; ++i) area->pages[i] = area->of_file ? kFromFile : 0;
  }

  void protect() {
    static constexpr int kProtections[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE};
    Area* const area = some();
    if (area == nullptr) return;
    area->protection = kProtections[pick(3)];
    close_area(*area);
  }

  void write() {
    Area* const area = some();
    if (area == nullptr) return add();
    open_area(*area);
    for (uint64_t count = 1 + pick(4); count > 0; --count) {
      const size_t index = pick(area->pages.size());
      area->pages[index] = 2000 + ++writes_;
      victim::Pattern::fill(area->start + index * kPage, kPage, area->pages[index]);
    }
    close_area(*area);
  }

  void zero() {
    Area* const area = some();
    if (area == nullptr) return;
    const size_t index = pick(area->pages.size());
    open_area(*area);
    memset(area->start + index * kPage, 0, kPage);
    close_area(*area);
    area->pages[index] = 0;
  }

  // Makes everything copy-on-write for a moment. The child writes what must not be seen here.
  void fork_child() {
    if (pick(8) != 0) return write();
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    const pid_t child = fork();
    if (child == 0) {
      if (!areas_.empty()) {
        open_area(areas_.front());
        memset(areas_.front().start, 0x5a, kPage);
      }
      char byte;
      (void)!read(ends[0], &byte, 1);
      _exit(0);
    }
    write();
    (void)!::write(ends[1], "x", 1);
    close(ends[0]);
    close(ends[1]);
    if (child > 0) waitpid(child, nullptr, 0);
  }

  victim::Victim& self_;
  victim::Pattern random_;
  int file_;
  uint64_t writes_ = 0;
  std::vector<Area> areas_;
};

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const uint64_t seed = argc > 2 ? strtoull(argv[2], nullptr, 10) : 1;
  Churn churn(self, seed);
  const int fd = open(self.path("sequence").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  self.must(fd >= 0 && ftruncate(fd, kPage) == 0, "sequence");
  void* const at = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  self.must(at != MAP_FAILED, "mmap");
  auto* const sequence = static_cast<volatile uint64_t*>(at);
  for (int i = 0; i < 200; ++i) churn.step();
  self.ready_and_wait([&] {
    for (int i = 0; i < 10; ++i) {
      churn.step();
      *sequence = *sequence + 1;
    }
  });
  churn.check();
  return self.finish();
}
