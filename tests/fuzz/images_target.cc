// Checkpoint folders, changed at random behind right checksums: opening, loading, verifying and
// printing them gives values or an error that says images (or machine); never a crash, a hang or
// memory without bound.
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>

#include "engine/image/checkpoint_images.h"
#include "engine/image/checkpoint_reader.h"
#include "engine/image/describe.h"
#include "tests/fuzz/message_mutator.h"
#include "tests/fuzz/steps.h"
#include "tests/fuzz/target.h"

namespace {

using cryostat::ErrorKind;
using cryostat::Result;
using cryostat::StopRequest;
using cryostat::fuzz::Step;
using cryostat::image::CheckpointReader;
using cryostat::image::FileType;

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

Result<void> print_records(const CheckpointReader& checkpoint, FileType type) {
  if (!checkpoint.has(type)) return {};
  auto records = TRY(checkpoint.records(type));
  while (const auto record = TRY(records.next())) {
    TRY(record_to_text(records, *record));
    TRY(record_to_json(records, *record));
  }
  return {};
}

Result<void> use_checkpoint(const std::string& directory) {
  const auto checkpoint = TRY(CheckpointReader::open(directory));
  for (const auto type : {FileType::kTasks, FileType::kMemory, FileType::kFiles, FileType::kPagemap,
                          FileType::kStats})
    (void)print_records(checkpoint, type);  // what can't be printed is refused by loading too
  TRY(load_images(checkpoint));
  const StopRequest stop;
  return checkpoint.verify_all_pages(1, stop);
}

void mutate_step(Step& step, std::mt19937_64& random) {
  const auto message = cryostat::image::make_message(step.tag);
  if (step.kind != Step::kRecord || message == nullptr || !message->ParseFromString(step.payload)) {
    step.offset = static_cast<uint32_t>(random() >> (32 + random() % 32));
    step.value = static_cast<uint8_t>(random());
    return;
  }
  for (uint64_t changes = 1 + random() % 3; changes > 0; --changes)
    cryostat::fuzz::mutate_message(*message, random);
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
                       .tag = static_cast<uint8_t>(random() % 9),
                       .offset = static_cast<uint32_t>(random() % 512),
                       .value = static_cast<uint8_t>(random())});
      break;
    case 2: {
      const Step copy = *anywhere();
      steps.insert(anywhere(), copy);
      break;
    }
    case 3:
      steps.insert(anywhere(), {.kind = Step::kRecord, .tag = static_cast<uint8_t>(random() % 15)});
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

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Folder folder;
  const auto steps = cryostat::fuzz::decode_steps({reinterpret_cast<const char*>(data), size});
  cryostat::fuzz::write_checkpoint(steps, folder.path());
  const auto result = use_checkpoint(folder.path());
  if (result) return 0;
  const auto kind = result.error().kind();
  if ((kind != ErrorKind::kImages && kind != ErrorKind::kMachine) ||
      result.error().message().empty())
    __builtin_trap();
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  if (size <= 1) return cryostat::fuzz::place_seed(data, max_size, seed);
  std::mt19937_64 random(seed);
  if (random() % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  auto steps = cryostat::fuzz::decode_steps({reinterpret_cast<const char*>(data), size});
  mutate_steps(steps, random);
  const std::string changed = cryostat::fuzz::encode_steps(steps);
  if (changed.size() > max_size) return size;
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}

std::vector<std::string> cryostat::fuzz::seed_inputs() { return {encode_steps(sample_steps())}; }
