// A folder that is removed again, and a small checkpoint in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/image/checkpoint_writer.h"
#include "proto/files.pb.h"
#include "proto/manifest.pb.h"
#include "proto/mm.pb.h"
#include "proto/pagemap.pb.h"
#include "proto/task.pb.h"

namespace cryostat::image {

class TempFolder {
 public:
  TempFolder() {
    char name[] = "/tmp/cryostat-image-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_ + "/ckpt"; }

 private:
  std::string path_;
};

inline std::string read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_whole(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct SampleParts {
  pb::Manifest manifest;
  pb::Task task;
  pb::Thread thread;
  pb::AddressSpace space;
  std::vector<pb::Vma> vmas;
  std::vector<pb::Description> descriptions;
  pb::DescriptorTable table;
  std::vector<pb::PageRuns> runs;
  unsigned pages = 3;
  unsigned empty_spaces = 0;  // and descriptor tables, that no task has
};

inline SampleParts sample_parts() {
  SampleParts parts;
  parts.manifest.set_root_pid(42);
  parts.manifest.add_pids(42);
  parts.manifest.mutable_cpu()->set_architecture("x86_64");
  parts.task.set_pid(42);
  parts.task.set_thread_count(1);
  parts.task.set_address_space_id(1);
  parts.task.set_descriptor_table_id(1);
  parts.thread.set_tid(42);
  parts.thread.set_comm("sample");
  parts.thread.mutable_registers()->set_general(std::string(27 * 8, 'r'));
  parts.thread.mutable_registers()->set_xstate(std::string(832, 'x'));
  parts.space.set_id(1);
  parts.space.set_vma_count(1);
  pb::Vma vma;
  vma.set_start(0x10000);
  vma.set_end(0x10000 + 8 * kPageSize);
  vma.set_protection(3);
  parts.vmas.push_back(vma);
  pb::Description null;
  null.set_id(1);
  null.mutable_char_device()->set_path("/dev/null");
  parts.descriptions.push_back(null);
  parts.table.set_id(1);
  auto& entry = *parts.table.add_entries();
  entry.set_fd(0);
  entry.set_description_id(1);
  pb::PageRuns runs;
  runs.set_owner_id(1);
  runs.add_address(0x11000);
  runs.add_page_count(3);
  runs.add_page_index(0);
  parts.runs.push_back(runs);
  return parts;
}

inline Result<void> append_sample(CheckpointWriter& writer, const SampleParts& parts) {
  TRY(writer.append(FileType::kTasks, parts.task));
  TRY(writer.append(FileType::kTasks, parts.thread));
  TRY(writer.append(FileType::kMemory, parts.space));
  for (const auto& vma : parts.vmas) TRY(writer.append(FileType::kMemory, vma));
  for (const auto& description : parts.descriptions)
    TRY(writer.append(FileType::kFiles, description));
  TRY(writer.append(FileType::kFiles, parts.table));
  for (uint32_t id = 2; id < 2 + parts.empty_spaces; ++id) {
    pb::AddressSpace space;
    space.set_id(id);
    TRY(writer.append(FileType::kMemory, space));
    pb::DescriptorTable table;
    table.set_id(id);
    TRY(writer.append(FileType::kFiles, table));
  }
  for (const auto& runs : parts.runs) TRY(writer.append(FileType::kPagemap, runs));
  std::vector<uint8_t> pages(parts.pages * kPageSize);
  for (size_t i = 0; i < pages.size(); ++i) pages[i] = static_cast<uint8_t>(i * 7 + i / kPageSize);
  TRY(writer.pages().append_pages(pages));
  return {};
}

inline Result<void> write_sample(const std::string& directory, const SampleParts& parts) {
  auto writer = TRY(CheckpointWriter::create(directory));
  TRY(append_sample(writer, parts));
  return writer.commit(parts.manifest);
}

}  // namespace cryostat::image
