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

// Prints to stdout. A write that fails is told when the tool ends (guarded()); a reader that went
// away is nobody's failure.
void print(std::string_view text);

// The same for what a program reads: a reader that went away did not get it.
void print_json(std::string_view text);

// "cr-dump (Cryostat) 0.1.0\n".
std::string version_text(std::string_view tool);

// Runs `body` on a stack that is large enough. What a library throws becomes an error and exit code
// 1, and so does a success of which stdout did not take the result.
int guarded(std::string_view tool, const std::function<int()>& body);

}  // namespace cryostat::cli
