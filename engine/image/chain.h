// A checkpoint together with the ancestors it takes pages from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/image/checkpoint_reader.h"
#include "engine/image/pagemap_image.h"

namespace cryostat::image {

// More checkpoints than this can't build on each other: flatten the chain.
inline constexpr uint32_t kMaxChainLength = 256;

class Chain {
 public:
  // Opens the checkpoint and as many of its ancestors as it needs pages of; each is verified as
  // CheckpointReader::open() does, an ancestor by its checkpoint_id too. Pages that cr-dedup(1) has
  // freed are found here when the checkpoint needs them. Errors: as CheckpointReader::open();
  // kImages when an ancestor is missing, is another checkpoint or lacks pages.
  static Result<Chain> open(const std::string& directory);

  const CheckpointReader& head() const { return members_.front(); }
  // Stores are numbered as PageRun::store: 0 is the head's own, 1 its parent's, …
  size_t store_count() const { return members_.size(); }
  const CheckpointReader& member(size_t store) const { return members_[store]; }

  // Every run lies in one of the stores or is zero; none is in-parent any more.
  const PagemapImage& pagemap() const { return pagemap_; }

  // The pages of each store that pagemap() refers to: ascending, joined where they touch.
  std::vector<std::vector<StoreRange>> used_pages() const;
  // Unpacks the page data of compressed members that the head needs
  // (CheckpointReader::load_pages()). To be called before page data is read.
  Result<void> load_pages(unsigned threads, const StopRequest& stop);
  // Compares every page that the head needs with its checksum, and those of the head's own store
  // that nothing needs. On `threads` threads.
  Result<void> verify_pages(unsigned threads, const StopRequest& stop) const;

 private:
  explicit Chain(CheckpointReader head);
  Result<void> resolve();
  Result<void> resolve_owner(const PagemapImage::Key& key, const std::vector<PageRun>& runs);
  Result<const PagemapImage*> written_pagemap(size_t member);
  Result<void> open_parent();
  Result<void> check_freed() const;

  std::vector<CheckpointReader> members_;
  std::vector<PagemapImage> written_;  // of the first members, as far as they were needed
  PagemapImage pagemap_;
};

}  // namespace cryostat::image
