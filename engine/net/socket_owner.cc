#include "engine/net/socket_owner.h"

#include <sys/stat.h>
#include <unistd.h>

namespace cryostat::net {

Result<void> apply_socket_owner(int socket, uid_t uid, gid_t gid, mode_t mode) {
  struct stat st;
  if (fstat(socket, &st) != 0) return fail_errno("stat a socket");
  if ((st.st_uid != uid || st.st_gid != gid) && fchown(socket, uid, gid) != 0)
    return fail_errno("change the owner of a socket");
  if ((st.st_mode & 07777) != (mode & 07777) && fchmod(socket, mode & 07777) != 0)
    return fail_errno("change the mode of a socket");
  return {};
}

}  // namespace cryostat::net
