// Memory of all sorts: mapped, changed, protected, and summed up.
#pragma once

#include <string>
#include <vector>

#include "tests/generators/random_tree/random.h"
#include "tests/generators/random_tree/report.h"

namespace random_tree {

// What a process has mapped; a forked process starts with its parent's.
class Areas {
 public:
  void map(Random& random, const std::string& folder);
  void change(Random& random);
  void protect(Random& random);

  // A checksum of each area.
  void look(Report& report) const;
  // Writes into memory that may be shared, at a place of the member's own.
  void poke(uint32_t member);

 private:
  struct Area {
    unsigned char* start;
    size_t pages;
    bool shared;          // memory, not a file
    bool protected_page;  // the first page can't be accessed
  };
  std::vector<Area> areas_;
};

}  // namespace random_tree
