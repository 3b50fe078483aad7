// A child that a test freezes: it runs `body` and is killed and reaped with the object.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>
#include <sstream>
#include <string>
#include <utility>

namespace cryostat::testing {

// What child and test both see.
struct SharedWords {
  std::atomic<uint64_t> word[16];
};

class Child {
 public:
  template <typename Body>
  explicit Child(Body body) {
    void* memory = mmap(nullptr, sizeof(SharedWords), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    words_ = new (memory) SharedWords();
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int status = body(*words_);
      _exit(status);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, __WALL);
    }
    munmap(words_, sizeof(SharedWords));
  }

  pid_t pid() const { return pid_; }
  SharedWords& words() { return *words_; }
  uint64_t word(int index) const { return words_->word[index].load(); }

  // Waits until the word becomes at least `value`; false after 10 seconds.
  bool await(int index, uint64_t value) const {
    return until([&] { return word(index) >= value; });
  }
  // Waits until some thread of it is in state `state` ('S', 'T').
  bool await_state(char state) const {
    return until(
        [&] { return read("status").find(std::string("State:\t") + state) != std::string::npos; });
  }
  template <typename Condition>
  static bool until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      usleep(200);
    }
    return true;
  }
  // Its exit status as waitpid gives it; -1 when it does not end within 10 seconds.
  int wait_end() {
    int status = -1;
    const bool ended = until([&] { return waitpid(pid_, &status, WNOHANG) == pid_; });
    if (ended) pid_ = -1;
    return ended ? status : -1;
  }

  std::string read(const std::string& name) const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // Number → what it refers to.
  std::map<std::string, std::string> descriptors() const {
    std::map<std::string, std::string> found;
    const std::string folder = "/proc/" + std::to_string(pid_) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      found[entry.path().filename()] = std::filesystem::read_symlink(entry.path());
    }
    return found;
  }

 private:
  pid_t pid_ = -1;
  SharedWords* words_ = nullptr;
};

}  // namespace cryostat::testing
