// What every main of the suite does around its work.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/cli/options.h"

namespace cryostat::cli {

// The arguments of main without the program name.
std::span<const char* const> arguments_of(int argc, char** argv);

// Does --json stand among arguments that could not be read?
bool wants_json(std::span<const char* const> arguments);

// Tells the failure once (stderr; with `json` also as an object on stdout). Returns the exit code.
int tell_failure(std::string_view tool, const Error& error, bool json);

// Prints to stdout. A reader that went away is nobody's failure.
void print(std::string_view text);

// "cr-dump (Cryostat) 0.1.0\n".
std::string version_text(std::string_view tool);

// Runs `body`; what a library throws becomes an error and exit code 1.
int guarded(std::string_view tool, const std::function<int()>& body);

}  // namespace cryostat::cli
