#include "engine/net/noted_identity.h"

#include <unistd.h>

#include "engine/net/stand_in.h"
#include "proto/sockets.pb.h"

namespace cryostat::net {

Result<void> act_as_creator(const pb::UnixSocketPair& image, const char* what,
                            const std::function<int()>& action) {
  const auto& creator = image.creator();
  const auto as_user = [&] {
    if (!image.has_creator()) return action();
    const auto identity =
        BorrowedIdentity::take(creator.uid(), creator.gid(),
                               {image.creator_groups().begin(), image.creator_groups().end()});
    return identity ? action() : identity.error().errno_value();
  };
  if (creator.pid() > 0 && creator.pid() != getpid() &&
      TRY(act_as_gone_process(creator.pid(), as_user)))
    return {};
  if (const int error = as_user(); error != 0) return fail_errno(error, what);
  return {};
}

}  // namespace cryostat::net
