#include "engine/cli/statistics.h"

#include <fmt/format.h>

#include "engine/base/version.h"
#include "engine/cli/json.h"
#include "engine/cli/report.h"

namespace cryostat::cli {

namespace {

void begin_result(JsonWriter& json, std::string_view tool, const Error* error) {
  json.begin_object()
      .field("tool", tool)
      .field("version", kVersion)
      .field("ok", error == nullptr)
      .field("exit_code", error == nullptr ? 0 : exit_code(*error));
  json.key("error");
  if (error == nullptr) {
    json.null();
    return;
  }
  json.begin_object()
      .field("kind", kind_name(error->kind()))
      .field("message", error->message())
      .field("hint", error->hint())
      .begin_array("lines");
  for (const std::string& line : error->lines()) json.value(line);
  json.end_array().end_object();
}

template <typename Stats>
void write_stages(JsonWriter& json, const Stats& stats) {
  json.begin_array("stages");
  for (const auto& stage : stats.stages()) {
    json.begin_object()
        .field("name", stage.name())
        .field("duration_ns", stage.duration_ns())
        .end_object();
  }
  json.end_array();
}

void write_tasks(JsonWriter& json, const pb::DumpStats& stats) {
  json.begin_array("per_task");
  for (const auto& task : stats.per_task()) {
    json.begin_object()
        .field("pid", task.pid())
        .field("pages_scanned", task.pages_scanned())
        .field("pages_written", task.pages_written())
        .field("pages_zero", task.pages_zero())
        .field("transfer", task.transfer())
        .field("copied", task.copied())
        .end_object();
  }
  json.end_array();
}

void write_stats(JsonWriter& json, const pb::DumpStats& stats) {
  json.begin_object("statistics")
      .field("freeze_ns", stats.freeze_ns())
      .field("total_ns", stats.total_ns())
      .field("pages_scanned", stats.pages_scanned())
      .field("pages_written", stats.pages_written())
      .field("pages_zero", stats.pages_zero())
      .field("bytes_written", stats.bytes_written())
      .field("tasks", stats.tasks())
      .field("threads", stats.threads())
      .field("descriptors", stats.descriptors())
      .field("transfer", stats.transfer())
      .field("snapshot", stats.snapshot())
      .field("tasks_copied", stats.tasks_copied())
      .field("pages_shared", stats.pages_shared())
      .field("pages_deduplicated", stats.pages_deduplicated())
      .field("compression", stats.compression())
      .field("tracker", stats.tracker())
      .field("pages_unchanged", stats.pages_unchanged())
      .field("pages_missed", stats.pages_missed())
      .field("pages_overreported", stats.pages_overreported());
  write_tasks(json, stats);
  write_stages(json, stats);
  json.end_object();
}

void write_stats(JsonWriter& json, const pb::RestoreStats& stats) {
  json.begin_object("statistics")
      .field("total_ns", stats.total_ns())
      .field("pages_restored", stats.pages_restored())
      .field("bytes_restored", stats.bytes_restored())
      .field("tasks", stats.tasks())
      .field("threads", stats.threads())
      .field("restore_threads", stats.restore_threads());
  write_stages(json, stats);
  json.end_object();
}

std::string milliseconds(uint64_t ns) {
  return fmt::format("{:.3f} ms", static_cast<double>(ns) / 1e6);
}

std::string row(std::string_view name, std::string_view value) {
  return fmt::format("  {:<28}{:>16}\n", name, value);
}

template <typename Stats>
std::string stage_rows(const Stats& stats) {
  std::string text;
  if (!stats.stages().empty()) text += "Stages\n";
  for (const auto& stage : stats.stages())
    text += row(stage.name(), milliseconds(stage.duration_ns()));
  return text;
}

}  // namespace

std::string json_failure(std::string_view tool, const Error& error) {
  JsonWriter json;
  begin_result(json, tool, &error);
  json.key("statistics").null();
  json.end_object();
  return json.text() + "\n";
}

std::string json_result(const Result<dump::Outcome>& result) {
  if (!result) return json_failure("cr-dump", result.error());
  JsonWriter json;
  begin_result(json, "cr-dump", nullptr);
  write_stats(json, result->stats);
  json.end_object();
  return json.text() + "\n";
}

std::string json_result(const Result<restore::Outcome>& result) {
  if (!result) return json_failure("cr-restore", result.error());
  JsonWriter json;
  begin_result(json, "cr-restore", nullptr);
  if (result->root_pid.value != 0) json.field("pid", result->root_pid.value);
  if (!result->plan_lines.empty()) {
    json.begin_array("plan");
    for (const std::string& line : result->plan_lines) json.value(line);
    json.end_array();
  }
  write_stats(json, result->stats);
  json.end_object();
  return json.text() + "\n";
}

namespace {
// Of increments only.
std::string tracker_rows(const pb::DumpStats& stats) {
  if (stats.tracker().empty()) return "";
  std::string text = row("tracker", stats.tracker()) +
                     row("pages left to the parent", std::to_string(stats.pages_unchanged()));
  if (stats.pages_missed() != 0) text += row("missed", std::to_string(stats.pages_missed()));
  if (stats.pages_overreported() != 0)
    text += row("over-reported", std::to_string(stats.pages_overreported()));
  return text;
}
}  // namespace

std::string stats_table(const dump::Outcome& outcome) {
  const pb::DumpStats& stats = outcome.stats;
  return "Dump\n" + row("frozen for", milliseconds(stats.freeze_ns())) +
         row("total", milliseconds(stats.total_ns())) +
         row("tasks", std::to_string(stats.tasks())) +
         row("threads", std::to_string(stats.threads())) +
         row("descriptors", std::to_string(stats.descriptors())) +
         row("pages scanned", std::to_string(stats.pages_scanned())) +
         row("pages written", std::to_string(stats.pages_written())) +
         row("zero pages skipped", std::to_string(stats.pages_zero())) +
         row("page data", human_bytes(stats.bytes_written())) + row("transfer", stats.transfer()) +
         row("snapshot", stats.snapshot()) +
         row("pages shared", std::to_string(stats.pages_shared())) +
         row("pages deduplicated", std::to_string(stats.pages_deduplicated())) +
         row("compression", stats.compression()) + tracker_rows(stats) + stage_rows(stats);
}

std::string stats_table(const restore::Outcome& outcome) {
  const pb::RestoreStats& stats = outcome.stats;
  return "Restore\n" + row("total", milliseconds(stats.total_ns())) +
         row("tasks", std::to_string(stats.tasks())) +
         row("threads", std::to_string(stats.threads())) +
         row("pages restored", std::to_string(stats.pages_restored())) +
         row("page data", human_bytes(stats.bytes_restored())) +
         row("reader threads", std::to_string(stats.restore_threads())) + stage_rows(stats);
}

}  // namespace cryostat::cli
