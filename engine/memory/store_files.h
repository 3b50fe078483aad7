// Page data of a checkpoint of the chain, as a restored process reads it.
#pragma once

#include <span>
#include <vector>

#include "engine/image/page_sum.h"

namespace cryostat::image {
class Chain;
}

namespace cryostat::memory {

struct StoreFiles {
  int pages_fd = -1;                     // pages.img; -1: no page of it is needed
  int sums_fd = -1;                      // page-sums.img
  std::span<const image::PageSum> sums;  // of every page of it
};

// One for each store of `chain`, numbered as image::PageRun::store; descriptors stay the chain's.
std::vector<StoreFiles> store_files(const image::Chain& chain);

}  // namespace cryostat::memory
