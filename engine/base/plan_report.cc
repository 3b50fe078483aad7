#include "engine/base/plan_report.h"

namespace cryostat {

namespace {
std::string text_of(const Requirement& requirement) {
  if (requirement.detail.empty()) return requirement.subject;
  if (requirement.subject.empty()) return requirement.detail;
  return requirement.subject + ": " + requirement.detail;
}
}  // namespace

void PlanReport::ok(std::string subject, std::string detail) {
  requirements_.push_back(
      {true, ErrorKind::kFailed, std::move(subject), std::move(detail), std::string()});
}

void PlanReport::missing(std::string subject, std::string detail, std::string hint,
                         ErrorKind kind) {
  requirements_.push_back({false, kind, std::move(subject), std::move(detail), std::move(hint)});
  ++missing_count_;
}

void PlanReport::missing(std::string subject, const Error& error) {
  if (error.lines().empty()) {
    missing(std::move(subject), error.message(), error.hint(), error.kind());
    return;
  }
  for (const std::string& line : error.lines()) missing(subject, line, error.hint(), error.kind());
}

Result<void> PlanReport::check() const {
  if (complete()) return {};
  const Requirement* first = nullptr;
  for (const Requirement& requirement : requirements_) {
    if (!requirement.met) {
      first = &requirement;
      break;
    }
  }
  if (first == nullptr) return {};
  if (missing_count_ == 1) {
    Error error(first->kind, text_of(*first));
    if (!first->hint.empty()) error = std::move(error).with_hint(first->hint);
    return tl::unexpected(std::move(error));
  }
  Error error(first->kind, std::to_string(missing_count_) + " requirements are not met");
  for (const Requirement& requirement : requirements_) {
    if (requirement.met) continue;
    std::string line = text_of(requirement);
    if (!requirement.hint.empty()) line += " (" + requirement.hint + ")";
    error = std::move(error).with_line(std::move(line));
  }
  return tl::unexpected(std::move(error));
}

std::vector<std::string> PlanReport::lines() const {
  std::vector<std::string> lines;
  lines.reserve(requirements_.size());
  for (const Requirement& requirement : requirements_) {
    std::string line = (requirement.met ? "ok       " : "missing  ") + text_of(requirement);
    if (!requirement.met && !requirement.hint.empty()) line += " (" + requirement.hint + ")";
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace cryostat
