#include "engine/cli/report.h"

#include "engine/cli/json.h"
#include "engine/cli/statistics.h"
#include "tests/support/catch.h"

using namespace cryostat;

TEST_CASE("an error is told in lines, then its hint") {
  const Error error =
      Error(ErrorKind::kRefused, "pid 42 fd 7: io_uring instance can't be checkpointed")
          .with_line("pid 42 fd 9: socket can't be checkpointed")
          .with_hint("close them");
  CHECK(cli::error_text("cr-dump", error) ==
        "cr-dump: refused: pid 42 fd 7: io_uring instance can't be checkpointed\n"
        "cr-dump: refused: pid 42 fd 9: socket can't be checkpointed\n"
        "  hint: close them\n");
  CHECK(cli::exit_code(error) == 3);
}

TEST_CASE("names from a target can't drive the terminal") {
  const Error error(ErrorKind::kFailed, "open /tmp/\x1b[2J\n");
  CHECK(cli::error_text("cr-dump", error) == "cr-dump: error: open /tmp/?[2J?\n");
}

TEST_CASE("every kind has a prefix and a name") {
  CHECK(cli::kind_prefix(ErrorKind::kTargetGone) == "target gone");
  CHECK(cli::kind_name(ErrorKind::kTargetGone) == "target-gone");
  CHECK(cli::kind_prefix(ErrorKind::kMachine) == "machine");
}

TEST_CASE("JSON: commas, escapes, bytes that are no text") {
  cli::JsonWriter json;
  json.begin_object().field("a", 1).field("b", "x\"\\\n\x80é").field("c", true);
  json.begin_array("d").value(1).value("two").end_array();
  json.begin_object("e").end_object().key("f").null().end_object();
  CHECK(json.text() ==
        "{\"a\":1,\"b\":\"x\\\"\\\\\\u000a\\ufffdé\",\"c\":true,\"d\":[1,\"two\"],\"e\":{},\"f\":"
        "null}");
}

TEST_CASE("JSON: bytes that only look like UTF-8") {
  cli::JsonWriter json;
  json.begin_object().field("a", "\xe0\x80\x80\xed\xa0\x80\xf4\x90\x80\x80€").end_object();
  std::string replaced;
  for (int i = 0; i < 10; ++i) replaced += "\\ufffd";
  CHECK(json.text() == "{\"a\":\"" + replaced + "€\"}");
}

TEST_CASE("a failure is one JSON object on one line") {
  const std::string text = cli::json_failure("cr-dump", Error(ErrorKind::kUsage, "no"));
  CHECK(text.find("\"exit_code\":2") != std::string::npos);
  CHECK(text.find("\"statistics\":null") != std::string::npos);
  CHECK(text.find('\n') == text.size() - 1);
}
