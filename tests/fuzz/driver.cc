// Drives a fuzz target without libFuzzer: mutates its seeds, always in the same order for the same
// seed of the random numbers. The work is done in a child, so that a crash, a hang or memory out of
// bounds ends in a report and the input in a file.
//
//   fuzz_images --runs 2000 --seed 1
//   fuzz_images --seconds 600 --seed 7
//   fuzz_images FILE…               runs these inputs only
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/target.h"

#ifdef __SANITIZE_ADDRESS__
// One allocation above this is a finding; the quarantine is small so that ours is what grows.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=512:allocator_may_return_null=0:quarantine_size_mb=16";
}
#endif

namespace {

using cryostat::fuzz::kMaxInputBytes;
using Clock = std::chrono::steady_clock;

constexpr unsigned kSecondsPerInput = 10;
constexpr long kMostMemoryKib = 512 << 10;
// Inputs kept beside the seeds, replaced at random: changes add up.
constexpr size_t kPoolInputs = 256;

std::mt19937_64 g_random;

struct Options {
  uint64_t runs = 2000;
  uint64_t seconds = 0;  // 0: `runs` counts
  uint64_t seed = 1;
  std::vector<std::string> files;
};

// What the child is at, for the parent to report.
struct Shared {
  uint64_t runs;
  uint64_t size;
  uint8_t input[kMaxInputBytes];
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "0";
    if (argument == "--runs") {
      options.runs = std::strtoull(value, nullptr, 10);
    } else if (argument == "--seconds") {
      options.seconds = std::strtoull(value, nullptr, 10);
    } else if (argument == "--seed") {
      options.seed = std::strtoull(value, nullptr, 10);
    } else {
      options.files.push_back(argument);
      continue;
    }
    ++i;
  }
  return options;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const void* bytes, size_t size) {
  std::ofstream(path, std::ios::binary)
      .write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
}

size_t open_descriptors() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                           std::filesystem::directory_iterator()));
}

[[noreturn]] void finding(const char* what) {
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::_Exit(1);
}

void run_one(Shared& shared, const std::string& input) {
  shared.size = std::min(input.size(), kMaxInputBytes);
  std::memcpy(shared.input, input.data(), shared.size);
  alarm(kSecondsPerInput);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), shared.size);
  ++shared.runs;
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  if (used.ru_maxrss > kMostMemoryKib) finding("more memory than any input may take");
}

void run_mutations(Shared& shared, const Options& options) {
  std::vector<std::string> pool = cryostat::fuzz::seed_inputs();
  const size_t seeds = pool.size();
  for (const auto& seed : pool) run_one(shared, seed);
  const size_t descriptors = open_descriptors();
  const auto end = Clock::now() + std::chrono::seconds(options.seconds);
  while (options.seconds > 0 ? Clock::now() < end : shared.runs < options.runs) {
    std::string input = pool[g_random() % pool.size()];
    size_t size = std::min(input.size(), kMaxInputBytes);
    input.resize(kMaxInputBytes);
    auto* bytes = reinterpret_cast<uint8_t*>(input.data());
    for (uint64_t changes = 1 + g_random() % 4; changes > 0; --changes)
      size = LLVMFuzzerCustomMutator(bytes, size, kMaxInputBytes,
                                     static_cast<unsigned int>(g_random()));
    input.resize(size);
    run_one(shared, input);
    if (pool.size() < kPoolInputs)
      pool.push_back(input);
    else if (g_random() % 4 == 0)
      pool[seeds + g_random() % (pool.size() - seeds)] =
          g_random() % 2 == 0 ? pool[g_random() % seeds] : input;
  }
  if (open_descriptors() != descriptors) finding("descriptors were left open");
}

int child(Shared& shared, const Options& options) {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
#ifndef __SANITIZE_ADDRESS__
  const rlimit memory{uint64_t{2} << 30, uint64_t{2} << 30};
  setrlimit(RLIMIT_AS, &memory);
#endif
  g_random.seed(options.seed);
  if (options.files.empty()) {
    run_mutations(shared, options);
  } else {
    for (const auto& file : options.files) run_one(shared, read_file(file));
  }
  return 0;
}

int report(const char* program, bool is_replay, const Shared& shared, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    std::printf("%llu inputs, no finding\n", static_cast<unsigned long long>(shared.runs));
    return 0;
  }
  if (WIFSIGNALED(status))
    std::fprintf(
        stderr, "fuzz: %s\n",
        WTERMSIG(status) == SIGALRM ? "an input that takes too long" : strsignal(WTERMSIG(status)));
  if (is_replay) return 1;
  const std::string path = "/tmp/cryostat-fuzz-finding-" + std::to_string(getpid());
  write_file(path, shared.input, shared.size);
  std::fprintf(stderr, "fuzz: after %llu inputs; run it again with: %s %s\n",
               static_cast<unsigned long long>(shared.runs), program, path.c_str());
  return 1;
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const size_t at = bytes.empty() ? 0 : g_random() % bytes.size();
  const size_t length =
      bytes.empty() ? 0 : 1 + g_random() % std::min<size_t>(32, bytes.size() - at);
  switch (bytes.empty() ? 5 : g_random() % 7) {
    case 0:
      bytes[at] ^= static_cast<char>(1u << g_random() % 8);
      break;
    case 1:
      bytes[at] = static_cast<char>(g_random());
      break;
    case 2: {  // a digit or a separator: the texts are full of them
      constexpr std::string_view kCharacters = "0123456789abcdef-+: \n\t\\()/,;";
      bytes[at] = kCharacters[g_random() % kCharacters.size()];
      break;
    }
    case 3:
      bytes.erase(at, length);
      break;
    case 4:
      bytes.insert(at, bytes.substr(at, length));
      break;
    case 5:
      bytes.insert(at, std::string(1 + g_random() % 32,
                                   static_cast<char>(g_random() % 2 == 0 ? '9' : g_random())));
      break;
    default:
      bytes.resize(at);
      break;
  }
  const size_t changed = std::min(bytes.size(), max_size);
  std::memcpy(data, bytes.data(), changed);
  return changed;
}

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  auto& shared = *new (memory) Shared{};
  const pid_t pid = fork();
  if (pid < 0) return 1;
  if (pid == 0) std::exit(child(shared, options));
  int status = 0;
  waitpid(pid, &status, 0);
  return report(argv[0], !options.files.empty(), shared, status);
}
