#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/span.h"
#include "engine/base/wire_arena.h"
#include "tests/support/catch.h"

using namespace cryostat;

TEST_CASE("the arena keeps arrays aligned and refers to them by offset") {
  WireArena arena;
  const auto text = arena.append_string("abc");
  const auto numbers = arena.append(std::vector<uint64_t>{1, 2, 3});
  const auto more = arena.reserve<uint32_t>(100);
  CHECK(text.count == 4);
  CHECK(numbers.offset_bytes % 16 == 0);
  CHECK(std::string(arena.at(text)) == "abc");
  CHECK(arena.at(numbers)[2] == 3);
  CHECK(arena.at(more)[99] == 0);
  CHECK(arena.bytes().size() == more.offset_bytes + 400);
}

TEST_CASE("spans are summed by name and written as trace JSON") {
  SpanLog& log = SpanLog::get();
  log.clear();
  {
    Span outer("freeze");
    outer.add_bytes(7);
    const Span inner("say \"x\"");
  }
  { const Span again("freeze"); }
  CHECK(log.records().size() == 3);
  CHECK(log.total_ns("freeze") >= log.records()[1].duration_ns);
  CHECK(log.total_ns("none") == 0);
  const std::string json = log.to_trace_json("cr-dump");
  CHECK(json.find("\"name\":\"say \\\"x\\\"\"") != std::string::npos);
  CHECK(json.find("\"bytes\":7") != std::string::npos);
  log.clear();
}
