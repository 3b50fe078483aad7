#include "tests/fuzz/steps.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/image/compression.h"
#include "engine/image/file_hash.h"
#include "engine/image/format.h"
#include "engine/image/page_sum.h"
#include "proto/manifest.pb.h"
#include "proto/page_blocks.pb.h"
#include "tests/unit/image/sample_checkpoint.h"

namespace cryostat::fuzz {

namespace {

using image::FileType;

constexpr unsigned kPages = 3;

// The input's bytes, taken from the front; zeros once they are used up.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : left_(bytes) {}
  bool empty() const { return left_.empty(); }
  template <typename Integer>
  Integer integer() {
    Integer value = 0;
    const auto bytes = take(sizeof(value));
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::string_view take(size_t size) {
    const auto bytes = left_.substr(0, size);
    left_.remove_prefix(bytes.size());
    return bytes;
  }

 private:
  std::string_view left_;
};

template <typename Integer>
void put(std::string& out, Integer value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// The file a record belongs into; a tag no file has shows up where it is refused.
FileType file_of(uint8_t tag) {
  switch (tag) {
    case 1:
      return FileType::kManifest;
    case 2:
    case 3:
      return FileType::kTasks;
    case 4:
    case 5:
    case 6:
    case 7:
    case 95:
      return FileType::kMemory;
    case 8:
    case 9:
    case 10:
      return FileType::kFiles;
    case 12:
    case 13:
      return FileType::kStats;
    case 20:
      return FileType::kPageBlocks;
    default:
      return FileType::kPagemap;
  }
}

// The pages as one LZ4 block.
std::string compressed(const std::string& pages) {
  image::BlockCompressor compressor({.method = image::CompressionMethod::kLz4});
  std::string block(pages.size(), 0);
  block.resize(compressor.compress({reinterpret_cast<const uint8_t*>(pages.data()), pages.size()},
                                   {reinterpret_cast<uint8_t*>(block.data()), block.size()}));
  return block;
}

using Files = std::array<std::string, static_cast<size_t>(image::kLastFileType) + 1>;

void append_record(std::string& file, uint32_t tag, const std::string& payload) {
  image::RecordHeader header{};
  header.length_bytes = static_cast<uint32_t>(payload.size());
  header.tag = tag;
  image::FileHash sum;
  sum.add(&header, offsetof(image::RecordHeader, xxh3));
  sum.add(payload.data(), payload.size());
  header.xxh3 = sum.value();
  put(file, header);
  file += payload;
}

void damage(std::string& file, const Step& step) {
  if (file.empty()) return;
  if (step.kind == Step::kTruncate)
    file.resize(std::min<size_t>(step.offset, file.size()));
  else
    file[step.offset % file.size()] ^= static_cast<char>(step.value);
}

size_t file_index(uint8_t tag) { return tag % std::tuple_size_v<Files>; }

void write_files(const Files& files, const std::string& directory) {
  for (uint32_t type = 1; type < files.size(); ++type)
    image::write_whole(directory + "/" + std::string(image::file_name(static_cast<FileType>(type))),
                       files[type]);
}

bool is_packed(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    return step.kind == Step::kRecord && step.tag == image::RecordTag<pb::PageBlocks>::value;
  });
}

// The record with the checksums its blocks have, so that what they hold is looked at.
std::string with_block_sums(const std::string& payload, const std::string& packed) {
  pb::PageBlocks blocks;
  if (!blocks.ParseFromString(payload)) return payload;
  const int count =
      std::min({blocks.xxh3_size(), blocks.offset_bytes_size(), blocks.size_bytes_size()});
  for (int i = 0; i < count; ++i) {
    if (blocks.offset_bytes(i) >= packed.size()) continue;
    const auto block =
        std::string_view(packed).substr(blocks.offset_bytes(i), blocks.size_bytes(i));
    blocks.set_xxh3(i, XXH3_64bits(block.data(), block.size()));
  }
  return blocks.SerializeAsString();
}

// The manifest record's payload: what the steps say, with the files as they are.
std::string manifest_payload(const std::vector<Step>& steps, const Files& files) {
  const auto step = std::find_if(steps.begin(), steps.end(), [](const Step& candidate) {
    return candidate.kind == Step::kRecord && candidate.tag == 1;
  });
  if (step == steps.end()) return "";
  pb::Manifest manifest;
  if (!manifest.ParseFromString(step->payload) || manifest.files_size() != 0) return step->payload;
  const bool packed = is_packed(steps);
  for (uint32_t type = 2; type < files.size(); ++type) {
    const auto file_type = static_cast<FileType>(type);
    const bool of_packed =
        file_type == FileType::kPageBlocks || file_type == FileType::kPackedPages;
    const bool raw = file_type == FileType::kPages || file_type == FileType::kPackedPages;
    if (packed ? file_type == FileType::kPages : of_packed) continue;
    auto& file = *manifest.add_files();
    file.set_name(std::string(image::file_name(file_type)));
    file.set_size_bytes(files[type].size());
    image::FileHash hash;
    hash.add(files[type].data(), files[type].size());
    if (!raw) file.set_xxh3(hash.value());
  }
  return manifest.SerializeAsString();
}

template <typename Message>
Step record(const Message& message) {
  return {.kind = Step::kRecord,
          .tag = static_cast<uint8_t>(image::RecordTag<Message>::value),
          .payload = message.SerializeAsString()};
}

}  // namespace

std::vector<Step> decode_steps(std::string_view input) {
  std::vector<Step> steps;
  Bytes bytes(input);
  while (!bytes.empty()) {
    Step step;
    step.kind = static_cast<Step::Kind>(bytes.integer<uint8_t>() % 3);
    step.tag = bytes.integer<uint8_t>();
    if (step.kind == Step::kRecord) {
      step.payload = bytes.take(bytes.integer<uint16_t>());
    } else {
      step.offset = bytes.integer<uint32_t>();
      step.value = bytes.integer<uint8_t>();
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

std::string encode_steps(const std::vector<Step>& steps) {
  std::string bytes;
  for (const Step& step : steps) {
    put(bytes, static_cast<uint8_t>(step.kind));
    put(bytes, step.tag);
    if (step.kind == Step::kRecord) {
      const auto length = static_cast<uint16_t>(std::min<size_t>(step.payload.size(), UINT16_MAX));
      put(bytes, length);
      bytes.append(step.payload, 0, length);
    } else {
      put(bytes, step.offset);
      put(bytes, step.value);
    }
  }
  return bytes;
}

void write_checkpoint(const std::vector<Step>& steps, const std::string& directory) {
  Files files;
  auto& pages = files[static_cast<size_t>(FileType::kPages)];
  auto& packed = files[static_cast<size_t>(FileType::kPackedPages)];
  for (uint32_t type = 1; type < files.size(); ++type)
    if (&files[type] != &pages && &files[type] != &packed)
      put(files[type], image::make_file_header(static_cast<FileType>(type)));
  const std::string page(kPageSize, 'p');
  const auto sum = image::page_sum(page.data());
  for (unsigned i = 0; i < kPages; ++i) {
    pages += page;
    put(files[static_cast<size_t>(FileType::kPageSums)], sum);
  }
  // As they are, then compressed: the seeds' two blocks.
  packed = pages + compressed(pages);
  for (const Step& step : steps)
    if (step.kind != Step::kRecord &&
        file_index(step.tag) == static_cast<size_t>(FileType::kPackedPages))
      damage(packed, step);
  for (const Step& step : steps)
    if (step.kind == Step::kRecord && step.tag != 1)
      append_record(files[static_cast<size_t>(file_of(step.tag))], step.tag,
                    file_of(step.tag) == FileType::kPageBlocks
                        ? with_block_sums(step.payload, packed)
                        : step.payload);
  const auto is_manifest = [](const Step& step) {
    return file_index(step.tag) == static_cast<size_t>(FileType::kManifest);
  };
  for (const Step& step : steps)
    if (step.kind != Step::kRecord && !is_manifest(step) && &files[file_index(step.tag)] != &packed)
      damage(files[file_index(step.tag)], step);
  auto& manifest = files[static_cast<size_t>(FileType::kManifest)];
  append_record(manifest, 1, manifest_payload(steps, files));
  for (const Step& step : steps)
    if (step.kind != Step::kRecord && is_manifest(step)) damage(manifest, step);
  write_files(files, directory);
}

std::vector<Step> sample_steps() {
  auto parts = image::sample_parts();
  parts.manifest.set_page_size_bytes(kPageSize);
  parts.manifest.set_format_version(image::kImageFormatVersion);
  std::vector<Step> steps{record(parts.manifest), record(parts.task), record(parts.thread),
                          record(parts.space)};
  for (const auto& vma : parts.vmas) steps.push_back(record(vma));
  for (const auto& description : parts.descriptions) steps.push_back(record(description));
  steps.push_back(record(parts.table));
  for (const auto& runs : parts.runs) steps.push_back(record(runs));
  return steps;
}

std::vector<Step> packed_steps() {
  auto steps = sample_steps();
  pb::PageBlocks blocks;
  const std::string pages(kPages * kPageSize, 'p');
  blocks.set_method(pb::PageBlocks::LZ4);
  blocks.set_page_count(kPages);
  blocks.set_block_pages(kPages);
  blocks.add_offset_bytes(pages.size());
  blocks.add_size_bytes(static_cast<uint32_t>(compressed(pages).size()));
  blocks.add_xxh3(0);
  steps.push_back(record(blocks));
  return steps;
}

}  // namespace cryostat::fuzz
