// Option values: text in, checked values out. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::cli {

// A process id: 1 to 2^22 (PID_MAX_LIMIT, proc(5)).
Result<int> parse_pid(std::string_view text);
// "1048576", "512K", "1M", "2G", with or without "iB" or "B".
Result<uint64_t> parse_size(std::string_view text);
// "10", "0.5"; more than nothing, at most a day.
Result<std::chrono::nanoseconds> parse_seconds(std::string_view text);
// What several -v came to: "" is one -v, "vv" three, "3" the level 3. Starts at `base`, ends at 4.
Result<int> parse_verbosity(int base, const std::vector<std::string>& occurrences);
// "auto" is 0; else 1 to 256.
Result<uint32_t> parse_restore_threads(std::string_view text);

}  // namespace cryostat::cli
