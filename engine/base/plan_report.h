// What a restore needs of this machine, one line per requirement: met or not, and in which way.
// Filled by every room before anything is created; printed by --dry-run.
#pragma once

#include <string>
#include <vector>

#include "engine/base/error.h"

namespace cryostat {

// One requirement. `subject` names what is needed ("pid 4242", "/usr/bin/python3"); `detail` says
// what was found ("free", "size was 10 bytes, is 12 bytes now").
struct Requirement {
  bool met;
  ErrorKind kind;  // meaningful when not met
  std::string subject;
  std::string detail;
  std::string hint;  // what a person can do; may be empty
};

class PlanReport {
 public:
  void ok(std::string subject, std::string detail = "");
  // kMachine unless another kind fits better (kPermission, kRefused, kUsage).
  void missing(std::string subject, std::string detail, std::string hint = "",
               ErrorKind kind = ErrorKind::kMachine);
  // Takes over an error as a missing requirement: its kind, message and hint.
  void missing(std::string subject, const Error& error);

  const std::vector<Requirement>& requirements() const { return requirements_; }
  bool complete() const { return missing_count_ == 0; }
  size_t missing_count() const { return missing_count_; }
  // One Error that names everything missing, or nothing when all is met. Its kind is that of the
  // first missing requirement; with more than one each gets a line of its own.
  Result<void> check() const;
  // "ok       pid 4242: free" / "missing  /bin/x: …", one line each.
  std::vector<std::string> lines() const;

 private:
  std::vector<Requirement> requirements_;
  size_t missing_count_ = 0;
};

}  // namespace cryostat
