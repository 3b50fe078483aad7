#include "engine/base/span.h"

#include <fmt/format.h>
#include <time.h>

#include <atomic>

namespace cryostat {

namespace {
uint32_t this_track() {
  static std::atomic<uint32_t> next{0};
  thread_local const uint32_t track = next.fetch_add(1);
  return track;
}

std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out;
}
}  // namespace

uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

SpanLog& SpanLog::get() {
  static SpanLog log;
  return log;
}

void SpanLog::add(SpanRecord record) {
  const std::lock_guard lock(mutex_);
  records_.push_back(std::move(record));
}

std::vector<SpanRecord> SpanLog::records() const {
  const std::lock_guard lock(mutex_);
  return records_;
}

uint64_t SpanLog::total_ns(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  uint64_t total = 0;
  for (const auto& record : records_) {
    if (record.name == name) total += record.duration_ns;
  }
  return total;
}

void SpanLog::clear() {
  const std::lock_guard lock(mutex_);
  records_.clear();
}

std::string SpanLog::to_trace_json(std::string_view process_name) const {
  const std::lock_guard lock(mutex_);
  std::string out = fmt::format(
      R"({{"displayTimeUnit":"ns","traceEvents":[{{"ph":"M","pid":1,"name":"process_name","args":{{"name":"{}"}}}})",
      json_escaped(process_name));
  for (const auto& r : records_) {
    out += fmt::format(
        ",\n{{\"ph\":\"X\",\"pid\":1,\"tid\":{},\"name\":\"{}\",\"ts\":{:.3f},\"dur\":{:.3f},"
        "\"args\":{{\"bytes\":{}}}}}",
        r.track, json_escaped(r.name), static_cast<double>(r.start_ns) / 1e3,
        static_cast<double>(r.duration_ns) / 1e3, r.bytes);
  }
  return out + "]}\n";
}

Span::Span(std::string_view name) : name_(name), start_ns_(monotonic_ns()) {}

void Span::end() {
  if (!open_) return;
  open_ = false;
  SpanLog::get().add({name_, start_ns_, monotonic_ns() - start_ns_, this_track(), bytes_});
}

}  // namespace cryostat
