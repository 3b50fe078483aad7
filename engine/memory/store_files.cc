#include "engine/memory/store_files.h"

#include "engine/image/chain.h"

namespace cryostat::memory {

std::vector<StoreFiles> store_files(const image::Chain& chain) {
  std::vector<StoreFiles> sources;
  for (const auto& used : chain.used_pages()) {
    const image::CheckpointReader& member = chain.member(sources.size());
    sources.emplace_back();
    if (!used.empty()) sources.back() = {member.pages_fd(), member.sums_fd(), member.sums()};
  }
  return sources;
}

}  // namespace cryostat::memory
