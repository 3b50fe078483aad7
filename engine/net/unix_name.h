// The name of a UNIX socket and the file bind(2) has made for it (unix(7)).
#pragma once

#include <string>

#include "engine/base/error.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::pb {
class UnixName;
}

namespace cryostat::net {

// Where the file of a socket is looked at.
enum class NameFile : uint8_t {
  kOwn,         // the socket has made it
  kOfListener,  // it came from a listening socket, whose file that is
};

// Fills `image` for a bound socket. The path is where the file is now, as seen from here. kRefused
// for a file that no path leads to from here but that was not deleted.
Result<void> read_unix_name(int socket, NameFile file, pb::UnixName& image);

// "what is bound to it": the path where the file is, or the name.
std::string show_unix_name(const pb::UnixName& image);

// A file at the path is the one of the checkpoint, or one that a restore has made in its place: of
// a socket, with owner, mode and time of modification, which nobody changes by accident.
bool is_file_of(const pb::UnixName& image);

// Plan: that the name can be had. Changes nothing.
void check_unix_name(const pb::UnixName& image, PlanReport& report);

// Gives the file at `path` owner, mode and time.
Result<void> finish_unix_file(int folder, const std::string& file, const pb::UnixName& image);

}  // namespace cryostat::net
