// What this kernel (and this privilege) can do, found by trying: never guessed from a version.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cryostat::kernel {

struct Feature {
  std::string name;  // "PAGEMAP_SCAN"
  bool available = false;
  bool required = false;  // without it nothing works; else there is a fallback or a refusal by name
  std::string detail;     // what was found: "errno ENOTTY", "enabled"
  std::string needed_for;  // what it is used for, and what happens without it
};

// Every probe, in a fixed order. Forks short-lived children for some; takes a few milliseconds. The
// caller must be single-threaded.
std::vector<Feature> probe_all();

// One feature by name, without running the other probes; nullptr-like (available false, detail
// "unknown feature") for an unknown name.
Feature probe(std::string_view name);

}  // namespace cryostat::kernel
