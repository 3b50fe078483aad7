// Checkpoint folders, changed at random behind right checksums: opening, loading, verifying and
// printing them gives values or an error that says images (or machine); never a crash, a hang or
// memory without bound.
#include <cstdio>
#include <cstdlib>

#include "engine/image/chain.h"
#include "engine/image/checkpoint_images.h"
#include "engine/image/checkpoint_reader.h"
#include "engine/image/describe.h"
#include "tests/fuzz/checkpoint_input.h"
#include "tests/fuzz/target.h"

namespace {

using cryostat::ErrorKind;
using cryostat::Result;
using cryostat::StopRequest;
using cryostat::image::Chain;
using cryostat::image::CheckpointReader;
using cryostat::image::FileType;

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
  auto checkpoint = TRY(CheckpointReader::open(directory));
  for (const auto type : {FileType::kTasks, FileType::kMemory, FileType::kFiles, FileType::kPagemap,
                          FileType::kStats})
    (void)print_records(checkpoint, type);  // what can't be printed is refused by loading too
  auto chain = TRY(Chain::open(directory));
  TRY(load_images(chain));
  const StopRequest stop;
  TRY(chain.load_pages(1, stop));
  return chain.verify_pages(1, stop);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto result = use_checkpoint(cryostat::fuzz::write_input(data, size));
  if (result) return 0;
  const auto kind = result.error().kind();
  // kRefused: a pre-dump, which holds no processes to load.
  if (kind == ErrorKind::kRefused) return 0;
  if (kind != ErrorKind::kImages && kind != ErrorKind::kMachine) {
    std::fprintf(stderr, "not told as damaged images: %s\n", result.error().message().c_str());
    std::abort();
  }
  return 0;
}
