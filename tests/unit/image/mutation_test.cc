// Messages with random bytes changed, in images whose checksums are right: loading ends in an error
// or in something that passed every check; it never crashes (run under ASan by ./dev asan).
#include <random>

#include "engine/image/chain.h"
#include "engine/image/checkpoint_images.h"
#include "tests/support/catch.h"
#include "tests/unit/image/sample_checkpoint.h"

namespace cryostat::image {
namespace {

// Changes some bytes of the serialised message; leaves it alone when the result is no message any
// more.
template <typename Message>
void mutate(Message& message, std::mt19937& random) {
  std::string bytes = message.SerializeAsString();
  if (bytes.empty()) return;
  const int changes = 1 + static_cast<int>(random() % 3);
  for (int i = 0; i < changes; ++i) {
    auto& byte = bytes[random() % bytes.size()];
    byte = static_cast<char>(random() % 4 == 0 ? 0xff : random());
  }
  Message changed;
  if (changed.ParseFromString(bytes)) message = changed;
}

Result<void> load(const std::string& directory) {
  const auto chain = TRY(Chain::open(directory));
  TRY(load_images(chain));
  const StopRequest stop;
  return chain.verify_pages(1, stop);
}

TEST_CASE("mutated messages never get past the checks unnoticed") {
  std::mt19937 random(20);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    const TempFolder folder;
    auto parts = sample_parts();
    switch (round % 8) {
      case 0:
        mutate(parts.task, random);
        break;
      case 1:
        mutate(parts.thread, random);
        break;
      case 2:
        mutate(parts.space, random);
        break;
      case 3:
        mutate(parts.vmas[0], random);
        break;
      case 4:
        mutate(parts.descriptions[0], random);
        break;
      case 5:
        mutate(parts.table, random);
        break;
      case 6:
        mutate(parts.runs[0], random);
        break;
      default:
        mutate(parts.manifest, random);
        break;
    }
    if (!write_sample(folder.path(), parts)) continue;
    const auto result = load(folder.path());
    INFO("round " << round);
    if (result) continue;
    ++refused;
    CHECK((result.error().kind() == ErrorKind::kImages ||
           result.error().kind() == ErrorKind::kMachine));
  }
  CHECK(refused > 20);
}

}  // namespace
}  // namespace cryostat::image
