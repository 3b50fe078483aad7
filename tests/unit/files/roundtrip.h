// Carries the descriptors of one child process into another one through image records.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "engine/base/refusals.h"
#include "engine/base/service_fds.h"
#include "engine/files/collect.h"
#include "engine/files/restore.h"
#include "engine/image/checkpoint_reader.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/image/files_image.h"
#include "engine/memory/shared_memory.h"
#include "engine/procfs/task_handle.h"
#include "proto/manifest.pb.h"
#include "tests/support/catch.h"

namespace cryostat::files {

// What a check in the restored child returns when it is content: no text.
inline const std::string kNothingWrong;

// A folder that is removed again.
class TempFolder {
 public:
  TempFolder() {
    char name[] = "/tmp/cryostat-files-XXXXXX";
    path_ = mkdtemp(name);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void fill(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

inline std::string link_of(int fd) {
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)).string();
}

// A child with /dev/null as its descriptors 0 to 2 and what `setup` opens, stopped.
class Subject {
 public:
  explicit Subject(const std::function<void()>& setup) : pid_(fork()) {
    if (pid_ == 0) {
      close_range(0, ~0u, 0);
      for (int i = 0; i < 3; ++i)
        if (open("/dev/null", O_RDWR) != i) _exit(1);
      setup();
      raise(SIGSTOP);
      _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(pid_, &status, WUNTRACED) == pid_);
    REQUIRE(WIFSTOPPED(status));
  }
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  ~Subject() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  HostPid pid() const { return HostPid(pid_); }
  TaskHandle handle() const { return TaskHandle::open(pid()).value(); }

 private:
  pid_t pid_;
};

struct Collected {
  Refusals refusals;
  image::FilesImage image;
};

inline Collected collect(const Subject& subject, CollectOptions options = {}) {
  Collected result;
  const auto task = subject.handle();
  memory::SharedMemoryTable shared_memory;
  const TaskHandle* const tasks[] = {&task};
  auto files = collect_descriptors(tasks, options, shared_memory, result.refusals);
  if (!files) FAIL(files.error().message());
  if (!result.refusals.empty()) return result;  // nothing is written then
  const TempFolder folder;
  auto writer = image::CheckpointWriter::create(folder / "ckpt").value();
  REQUIRE(write_files(*files, writer).has_value());
  pb::Manifest manifest;
  manifest.mutable_cpu()->set_architecture("x86_64");
  auto committed = writer.commit(std::move(manifest));
  if (!committed) FAIL(committed.error().message());
  auto reader = image::CheckpointReader::open(folder / "ckpt");
  if (!reader) FAIL(reader.error().message());
  auto image = image::load_files(*reader);
  if (!image) FAIL(image.error().message());
  result.image = std::move(*image);
  return result;
}

// Restores the descriptors in a child and runs `verify` there; returns what it returns, or the
// error.
inline std::string restored(const image::FilesImage& image,
                            const std::function<std::string()>& verify, RestoreInputs inputs = {}) {
  int pair[2];
  REQUIRE(pipe(pair) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const auto numbers = descriptor_numbers(image, 1);
    auto service = ServiceFds::create(numbers);
    const int out = service->adopt(UniqueFd(pair[1])).value();
    if (inputs.terminal_fd >= 0) inputs.terminal_fd = *service->adopt_copy(inputs.terminal_fd);
    (void)service->close_all_but_service();
    const auto done = restore_descriptors(image, 1, inputs);
    const auto text = done ? verify() : "restore: " + done.error().message();
    (void)!write(out, text.data(), text.size());
    _exit(0);
  }
  close(pair[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(pair[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  close(pair[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  if (!WIFEXITED(status)) text += " child died";
  return text;
}

// The whole way; kNothingWrong when `verify` is content in the restored child.
inline std::string roundtrip(const std::function<void()>& setup,
                             const std::function<std::string()>& verify) {
  const Subject subject(setup);
  const auto collected = collect(subject);
  if (!collected.refusals.empty()) return "refused: " + collected.refusals.lines().front();
  return restored(collected.image, verify);
}

// The refusal of what `setup` opened as its first descriptor, 3; "" when nothing is refused.
inline std::string refusal(const std::function<void()>& setup, CollectOptions options = {}) {
  const Subject subject(setup);
  const auto collected = collect(subject, options);
  return collected.refusals.empty() ? "" : collected.refusals.lines().front();
}

#define EXPECT(condition) \
  if (!(condition)) return std::string(#condition " errno ") + std::to_string(errno)

}  // namespace cryostat::files
