#include "engine/image/describe.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include "proto/files.pb.h"
#include "proto/ipc.pb.h"
#include "proto/manifest.pb.h"
#include "proto/mm.pb.h"
#include "proto/pagemap.pb.h"
#include "proto/stats.pb.h"
#include "proto/task.pb.h"

namespace cryostat::image {

namespace {

constexpr int kLongestStringBytes = 64;

template <typename... Messages>
const google::protobuf::Message* prototype_among(uint32_t tag) {
  const google::protobuf::Message* found = nullptr;
  ((RecordTag<Messages>::value == tag ? found = &Messages::default_instance() : nullptr), ...);
  return found;
}

Result<std::unique_ptr<google::protobuf::Message>> parse_any(const RecordReader& reader,
                                                             const RecordView& record) {
  auto message = make_message(record.tag);
  if (message == nullptr ||
      !message->ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size())))
    return reader.fail_at(record, "not a message of its type");
  return message;
}

}  // namespace

std::unique_ptr<google::protobuf::Message> make_message(uint32_t tag) {
  const auto* prototype =
      prototype_among<pb::Manifest, pb::Task, pb::Thread, pb::AddressSpace, pb::Vma, pb::MappedFile,
                      pb::SharedMemory, pb::Description, pb::GhostData, pb::DescriptorTable,
                      pb::PageRuns, pb::DumpStats, pb::RestoreStats, pb::IpcNamespace>(tag);
  return std::unique_ptr<google::protobuf::Message>(prototype == nullptr ? nullptr
                                                                         : prototype->New());
}

Result<std::string> record_to_text(const RecordReader& reader, const RecordView& record) {
  const auto message = TRY(parse_any(reader, record));
  google::protobuf::TextFormat::Printer printer;
  printer.SetInitialIndentLevel(1);
  printer.SetTruncateStringFieldLongerThan(kLongestStringBytes);
  std::string text;
  if (!printer.PrintToString(*message, &text)) return reader.fail_at(record, "can't be printed");
  return text;
}

Result<std::string> record_to_json(const RecordReader& reader, const RecordView& record) {
  const auto message = TRY(parse_any(reader, record));
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(*message, &json, options).ok())
    return reader.fail_at(record, "can't be printed as JSON");
  return fmt::format("{{\"type\":\"{}\",\"offset_bytes\":{},\"message\":{}}}",
                     record_name(record.tag), record.offset_bytes, json);
}

}  // namespace cryostat::image
