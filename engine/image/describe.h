// Records as text for people and as JSON for scripts.
#pragma once

#include <memory>
#include <string>

#include "engine/base/error.h"
#include "engine/image/record_reader.h"

namespace google::protobuf {
class Message;
}

namespace cryostat::image {

// An empty message of the type a tag stands for; nullptr for unknown tags.
std::unique_ptr<google::protobuf::Message> make_message(uint32_t tag);

// Protobuf text format, two spaces deep; long byte strings are cut.
Result<std::string> record_to_text(const RecordReader& reader, const RecordView& record);

// One JSON object: {"type": NAME, "offset_bytes": N, "message": {…}} with proto field names; 64-bit
// integers are strings and bytes base64, as protobuf's JSON mapping has it.
Result<std::string> record_to_json(const RecordReader& reader, const RecordView& record);

}  // namespace cryostat::image
