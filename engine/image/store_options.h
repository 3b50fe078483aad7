// How the pages of a checkpoint are stored.
#pragma once

#include "engine/image/compression.h"

namespace cryostat::image {

struct StoreOptions {
  Compression compression;
  bool dedup = false;      // pages that are alike are stored once
  bool direct_io = false;  // past the page cache, where the file system can
};

}  // namespace cryostat::image
