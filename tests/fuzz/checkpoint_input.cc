#include "tests/fuzz/checkpoint_input.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>

#include "engine/image/describe.h"
#include "tests/fuzz/message_mutator.h"
#include "tests/fuzz/steps.h"
#include "tests/fuzz/target.h"

namespace cryostat::fuzz {

namespace {

// One folder for the whole run, in memory where there is /dev/shm.
class Folder {
 public:
  Folder() {
    std::string name = "/dev/shm/cryostat-fuzz-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) {
      name = "/tmp/cryostat-fuzz-XXXXXX";
      if (mkdtemp(name.data()) == nullptr) std::abort();
    }
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void mutate_step(Step& step, std::mt19937_64& random) {
  const auto message = image::make_message(step.tag);
  if (step.kind != Step::kRecord || message == nullptr || !message->ParseFromString(step.payload)) {
    step.offset = static_cast<uint32_t>(random() >> (32 + random() % 32));
    step.value = static_cast<uint8_t>(random());
    return;
  }
  for (uint64_t changes = 1 + random() % 3; changes > 0; --changes)
    mutate_message(*message, random);
  std::string changed;
  if (message->SerializeToString(&changed)) step.payload = changed;
}

void mutate_steps(std::vector<Step>& steps, std::mt19937_64& random) {
  const auto anywhere = [&] {
    return steps.begin() + static_cast<ptrdiff_t>(random() % steps.size());
  };
  switch (steps.empty() ? 1 : random() % 12) {
    case 0:
      steps.erase(anywhere());
      break;
    case 1:
      steps.push_back({.kind = random() % 4 == 0 ? Step::kTruncate : Step::kFlip,
                       .tag = static_cast<uint8_t>(random() % 11),
                       .offset = static_cast<uint32_t>(random() % 512),
                       .value = static_cast<uint8_t>(random())});
      break;
    case 2: {
      const Step copy = *anywhere();
      steps.insert(anywhere(), copy);
      break;
    }
    case 3:
      steps.insert(anywhere(), {.kind = Step::kRecord, .tag = static_cast<uint8_t>(random() % 21)});
      break;
    case 4:
      std::iter_swap(anywhere(), anywhere());
      break;
    default:
      mutate_step(*anywhere(), random);
      break;
  }
}

}  // namespace

const std::string& write_input(const uint8_t* data, size_t size) {
  static const Folder folder;
  write_checkpoint(decode_steps({reinterpret_cast<const char*>(data), size}), folder.path());
  return folder.path();
}

std::vector<std::string> seed_inputs() {
  return {encode_steps(sample_steps()), encode_steps(packed_steps())};
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  if (size <= 1) return place_seed(data, max_size, seed);
  std::mt19937_64 random(seed);
  if (random() % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  auto steps = decode_steps({reinterpret_cast<const char*>(data), size});
  mutate_steps(steps, random);
  const std::string changed = encode_steps(steps);
  if (changed.size() > max_size) return size;
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}

}  // namespace cryostat::fuzz
