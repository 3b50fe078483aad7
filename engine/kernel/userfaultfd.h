// Asynchronous write-protection by userfaultfd(2) (kernel 6.7): the kernel itself resolves the
// faults, the protection of a page that was not written stands.
#pragma once

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"

namespace cryostat::kernel {

// Flags of the userfaultfd system call for a descriptor that is only used in this way.
extern const int kUserfaultfdFlags;

// The first thing to do with a new userfaultfd. EINVAL (kFailed) without the feature.
Result<void> enable_async_write_protect(int userfaultfd);

// [start, end), a part of one mapping: faults on protected pages are resolved from now on. Does
// nothing where the same userfaultfd has it already. EBUSY: another one has it; EINVAL, EPERM: it
// can't be registered; ENOMEM: the address space is gone.
Result<void> register_write_protect(int userfaultfd, RemoteAddr start, RemoteAddr end);

// Protects what is populated or not in [start, end), registered before.
Result<void> write_protect(int userfaultfd, RemoteAddr start, RemoteAddr end);

}  // namespace cryostat::kernel
