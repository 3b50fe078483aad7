#include "engine/base/plan_report.h"

#include "tests/support/catch.h"

using namespace cryostat;

TEST_CASE("plan report: nothing missing") {
  PlanReport report;
  report.ok("pid 42", "free");
  report.ok("clock");
  CHECK(report.complete());
  CHECK(report.check());
  CHECK(report.lines() == std::vector<std::string>{"ok       pid 42: free", "ok       clock"});
}

TEST_CASE("plan report: one missing requirement is the error itself") {
  PlanReport report;
  report.ok("a");
  report.missing("/bin/x", "size was 10 bytes, is 12 now", "put the old file back");
  const auto result = report.check();
  REQUIRE_FALSE(result);
  CHECK(result.error().kind() == ErrorKind::kMachine);
  CHECK(result.error().message() == "/bin/x: size was 10 bytes, is 12 now");
  CHECK(result.error().hint() == "put the old file back");
  CHECK(report.lines()[1] ==
        "missing  /bin/x: size was 10 bytes, is 12 now (put the old file back)");
}

TEST_CASE("plan report: several become lines, the first gives the kind") {
  PlanReport report;
  report.missing("privileges", "lacks CAP_X", "", ErrorKind::kPermission);
  report.missing("pid 42", "taken", "end it");
  report.missing("b", Error(ErrorKind::kRefused, "many").with_line("one").with_line("two"));
  CHECK(report.missing_count() == 4);
  const auto result = report.check();
  REQUIRE_FALSE(result);
  CHECK(result.error().kind() == ErrorKind::kPermission);
  CHECK(result.error().lines() == std::vector<std::string>{"privileges: lacks CAP_X",
                                                           "pid 42: taken (end it)", "b: one",
                                                           "b: two"});
}
