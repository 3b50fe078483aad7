// Statistics and results as JSON and as a table.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/dump/dump.h"
#include "engine/restore/restore.h"

namespace cryostat::cli {

// Exactly one JSON object and a newline:
//   {"tool":"cr-dump","version":"0.1.0","ok":true,"exit_code":0,"error":null,
//    "statistics":{…,"stages":[{"name":"freeze","duration_ns":812000},…]}}
// On failure `error` is {"kind","message","hint","lines"} and statistics null. cr-restore adds
// "pid" and, for a dry run, "plan".
std::string json_result(const Result<dump::Outcome>& result);
std::string json_result(const Result<restore::Outcome>& result);

// A failure before there was a result to speak of (usage, log file).
std::string json_failure(std::string_view tool, const Error& error);

// The table behind --display-stats.
std::string stats_table(const dump::Outcome& outcome);
std::string stats_table(const restore::Outcome& outcome);

}  // namespace cryostat::cli
