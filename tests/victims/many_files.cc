// 500 descriptors of all sorts with gaps in their numbers.
#include <sys/eventfd.h>

#include <vector>

#include "tests/victims/victim.h"

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  std::vector<int> numbers;
  for (int i = 0; i < 500; ++i) {
    int fd = -1;
    if (i % 4 == 0) fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (i % 4 == 1) fd = eventfd(static_cast<unsigned>(i), EFD_NONBLOCK);
    if (i % 4 == 2) fd = dup(numbers.back());
    if (i % 4 == 3) fd = open("/etc/passwd", O_RDONLY);
    self.must(fd >= 0, "open");
    if (i % 4 == 3) lseek(fd, i, SEEK_SET);
    numbers.push_back(fd);
  }
  for (size_t i = 0; i < numbers.size(); i += 16) {
    close(numbers[i]);
    numbers[i] = -1;
  }
  self.ready_and_wait();
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] < 0) continue;
    uint64_t value = 0;
    if (i % 4 == 3)
      self.expect_equal("position", static_cast<long long>(i), lseek(numbers[i], 0, SEEK_CUR));
    if (i % 4 == 2)
      self.expect(read(numbers[i], &value, 8) == 8 && value == i - 1, "eventfd %zu holds %lu", i,
                  value);
    self.expect(fcntl(numbers[i], F_GETFD) >= 0, "descriptor %d is gone", numbers[i]);
  }
  return self.finish();
}
