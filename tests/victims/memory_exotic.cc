// Rarer kinds of memory: sealed memfds, memfds of odd size, deleted files that are mapped (and
// open), droppable and sealed areas, guards in file mappings, execute-only and PROT_NONE pages of
// files, /dev/zero, pages around the end of a file, a huge sparse reservation, neighbours that
// differ.
#include <sys/mman.h>
#include <sys/syscall.h>

#include <vector>

#include "tests/victims/victim.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace {

constexpr size_t kPage = 4096;
constexpr int kReadWrite = PROT_READ | PROT_WRITE;
constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;

// Set-up and check of one kind; each checks what it made.
class Exotic {
 public:
  explicit Exotic(victim::Victim& self) : self_(self) {}

  unsigned char* map(size_t bytes, int protection, int flags, int fd = -1, off_t offset = 0) {
    void* area = mmap(nullptr, bytes, protection, flags, fd, offset);
    self_.must(area != MAP_FAILED, "mmap");
    return static_cast<unsigned char*>(area);
  }
  int make_file(const std::string& path, size_t bytes) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    std::vector<uint64_t> content(bytes / 8);
    victim::Pattern::fill(content.data(), bytes, 7);
    self_.must(fd >= 0 && write(fd, content.data(), bytes) == static_cast<ssize_t>(bytes),
               "make a file");
    return fd;
  }

  void set_up_memfds() {
    sealed_fd_ = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    self_.must(ftruncate(sealed_fd_, 4 * kPage) == 0, "ftruncate");
    self_.must(pwrite(sealed_fd_, "sealed", 6, kPage) == 6, "write");
    self_.must(fcntl(sealed_fd_, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL) == 0,
               "seal");
    sealed_ = map(4 * kPage, PROT_READ, MAP_PRIVATE, sealed_fd_);

    const int future = memfd_create("future", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    self_.must(ftruncate(future, 2 * kPage) == 0, "ftruncate");
    future_ = map(2 * kPage, kReadWrite, MAP_SHARED, future);
    self_.must(fcntl(future, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0, "seal");
    const int reader =
        open(("/proc/self/fd/" + std::to_string(future)).c_str(), O_RDONLY | O_CLOEXEC);
    future_read_ = map(2 * kPage, PROT_READ, MAP_SHARED, reader);
    close(reader);
    future_fd_ = future;
    future_[5] = 55;

    // Of odd size, mapped beyond its end, the descriptor closed.
    const int odd = memfd_create("odd size", MFD_CLOEXEC);
    self_.must(ftruncate(odd, kPage + 100) == 0, "ftruncate");
    odd_ = map(4 * kPage, kReadWrite, MAP_SHARED, odd);
    odd_[kPage + 99] = 99;
    close(odd);
  }
  void check_memfds() {
    self_.expect(memcmp(sealed_ + kPage, "sealed", 6) == 0, "content of a sealed memfd");
    self_.expect_equal("seals", F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL,
                       fcntl(sealed_fd_, F_GET_SEALS));
    self_.expect(pwrite(sealed_fd_, "x", 1, 0) < 0, "a memfd sealed against writing");
    self_.expect(mprotect(sealed_, kPage, kReadWrite) == 0, "private mapping made writable");
    self_.expect_equal("future write seal", F_SEAL_FUTURE_WRITE, fcntl(future_fd_, F_GET_SEALS));
    future_[6] = 66;
    self_.expect(future_read_[5] == 55 && future_read_[6] == 66, "future-write-sealed memfd");
    self_.expect(mprotect(future_read_, kPage, kReadWrite) < 0, "read-only mapping made writable");
    self_.expect(odd_[kPage + 99] == 99 && odd_[0] == 0, "memfd of odd size");
  }

  void set_up_deleted() {
    const std::string path = self_.path("deleted");
    deleted_fd_ = make_file(path, 4 * kPage);
    deleted_shared_ = map(4 * kPage, kReadWrite, MAP_SHARED, deleted_fd_);
    deleted_private_ = map(4 * kPage, kReadWrite, MAP_PRIVATE, deleted_fd_);
    deleted_private_[kPage] = 1;
    unlink(path.c_str());

    const std::string other = self_.path("deleted and closed");
    const int fd = make_file(other, 2 * kPage);
    closed_ = map(2 * kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);
    unlink(other.c_str());
    close(fd);
  }
  void check_deleted() {
    std::vector<unsigned char> expected(4 * kPage);
    victim::Pattern::fill(expected.data(), 4 * kPage, 7);
    self_.expect(memcmp(deleted_shared_, expected.data(), 4 * kPage) == 0, "deleted file");
    self_.expect(deleted_private_[kPage] == 1 &&
                     memcmp(deleted_private_ + 2 * kPage, &expected[2 * kPage], kPage) == 0,
                 "private mapping of a deleted file");
    deleted_shared_[3 * kPage] = 33;
    self_.expect(deleted_private_[3 * kPage] == 33,
                 "deleted file: both mappings show the same file");
    unsigned char byte = 0;
    self_.expect(pread(deleted_fd_, &byte, 1, 3 * kPage) == 1 && byte == 33,
                 "deleted file: descriptor and mapping show the same file");
    self_.expect(memcmp(closed_, expected.data(), kPage) == 0, "deleted file, mapped only");
  }

  void set_up_areas() {
    droppable_ =
        static_cast<unsigned char*>(mmap(nullptr, kPage, kReadWrite, 0x08 | MAP_ANONYMOUS, -1, 0));
    if (droppable_ == MAP_FAILED) droppable_ = nullptr;
    if (droppable_ != nullptr) droppable_[0] = 1;
    mseal_ = map(2 * kPage, kReadWrite, kAnonymous);
    mseal_[7] = 7;
    mprotect(mseal_, 2 * kPage, PROT_READ);
    has_mseal_ = syscall(462, mseal_, 2 * kPage, 0) == 0;
    zero_device_ = map(2 * kPage, kReadWrite, MAP_PRIVATE, open("/dev/zero", O_RDWR | O_CLOEXEC));
    zero_device_[10] = 10;
    // 4 TiB; less on an emulated machine, whose kernel may have to look at each page.
    if (getenv("CRYOSTAT_TEST_PATIENCE") != nullptr) sparse_step_ = size_t{1} << 28;
    sparse_ = map(64 * sparse_step_, kReadWrite, kAnonymous | MAP_NORESERVE);
    for (int i = 0; i < 64; ++i)
      sparse_[sparse_step_ * static_cast<size_t>(i)] = static_cast<unsigned char>(i + 1);
    neighbours_ = map(64 * kPage, kReadWrite, kAnonymous);
    memset(neighbours_, 0x11, 64 * kPage);
    for (size_t i = 0; i < 64; i += 2)
      mprotect(neighbours_ + i * kPage, kPage, i % 4 == 0 ? PROT_READ : PROT_NONE);
    execute_only_ = map(kPage, kReadWrite, kAnonymous);
    const unsigned char answer[] = {0xb8, 43, 0, 0, 0, 0xc3};  // mov $43, %eax; ret
    memcpy(execute_only_, answer, sizeof(answer));
    mprotect(execute_only_, kPage, PROT_EXEC);
  }
  void check_areas() {
    if (droppable_ != nullptr) {
      self_.expect(droppable_[0] == 0 || droppable_[0] == 1, "droppable page");
      droppable_[0] = 2;
    }
    self_.expect(mseal_[7] == 7, "sealed area's content");
    if (has_mseal_) self_.expect(mprotect(mseal_, kPage, kReadWrite) < 0, "sealed area");
    self_.expect(zero_device_[10] == 10 && zero_device_[11] == 0 && zero_device_[kPage] == 0,
                 "/dev/zero");
    for (int i = 0; i < 64; ++i)
      self_.expect(sparse_[sparse_step_ * static_cast<size_t>(i)] == i + 1, "sparse page %d", i);
    sparse_[32 * sparse_step_ + 12345] = 1;
    mprotect(neighbours_, 64 * kPage, PROT_READ);
    for (size_t i = 0; i < 64 * kPage; ++i)
      if (!self_.expect(neighbours_[i] == 0x11, "neighbour byte %zu", i)) break;
    self_.expect(reinterpret_cast<int (*)()>(execute_only_)() == 43, "execute-only page");
  }

  void set_up_file_pages() {
    const int fd = make_file(self_.path("pages"), 8 * kPage);
    file_ = map(8 * kPage, kReadWrite, MAP_PRIVATE, fd);
    file_[0] = 1;
    file_[4 * kPage] = 1;
    mprotect(file_, kPage, PROT_NONE);
    has_file_guard_ = madvise(file_ + 2 * kPage, kPage, MADV_GUARD_INSTALL) == 0;
    // More than the file has: the last page can't be touched.
    beyond_ = map(12 * kPage, kReadWrite, MAP_PRIVATE, fd);
    beyond_[7 * kPage] = 7;
    close(fd);
  }
  void check_file_pages() {
    std::vector<unsigned char> expected(8 * kPage);
    victim::Pattern::fill(expected.data(), 8 * kPage, 7);
    mprotect(file_, kPage, PROT_READ);
    self_.expect(file_[0] == 1 && memcmp(file_ + 1, &expected[1], kPage - 1) == 0,
                 "PROT_NONE page of a file");
    self_.expect(memcmp(file_ + 5 * kPage, &expected[5 * kPage], kPage) == 0,
                 "untouched page of a file");
    self_.expect(beyond_[7 * kPage] == 7 && beyond_[6 * kPage] == expected[6 * kPage],
                 "mapping beyond the end");
    if (!has_file_guard_) return;
    // A guard page can't be read, even by the kernel.
    const int sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int pipe_ends[2];
    self_.must(pipe(pipe_ends) == 0, "pipe");
    self_.expect(write(pipe_ends[1], file_ + 2 * kPage, 1) < 0, "guard page in a file mapping");
    self_.expect(write(pipe_ends[1], file_ + kPage, 1) == 1, "page beside a guard");
    close(sink);
  }

 private:
  victim::Victim& self_;
  int sealed_fd_ = -1;
  int future_fd_ = -1;
  int deleted_fd_ = -1;
  bool has_mseal_ = false;
  bool has_file_guard_ = false;
  unsigned char* sealed_ = nullptr;
  unsigned char* future_ = nullptr;
  unsigned char* future_read_ = nullptr;
  unsigned char* odd_ = nullptr;
  unsigned char* deleted_shared_ = nullptr;
  unsigned char* deleted_private_ = nullptr;
  unsigned char* closed_ = nullptr;
  unsigned char* droppable_ = nullptr;
  unsigned char* mseal_ = nullptr;
  unsigned char* zero_device_ = nullptr;
  unsigned char* sparse_ = nullptr;
  size_t sparse_step_ = size_t{1} << 36;
  unsigned char* neighbours_ = nullptr;
  unsigned char* execute_only_ = nullptr;
  unsigned char* file_ = nullptr;
  unsigned char* beyond_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  Exotic exotic(self);
  exotic.set_up_memfds();
  exotic.set_up_deleted();
  exotic.set_up_areas();
  exotic.set_up_file_pages();
  self.ready_and_wait();
  exotic.check_memfds();
  exotic.check_deleted();
  exotic.check_areas();
  exotic.check_file_pages();
  return self.finish();
}
