// Messages to the service manager, sd_notify(3). None of them waits: a message that cannot be sent within some
// milliseconds fails with -EAGAIN or -ETIMEDOUT.
#ifndef LISTENFDS_NATIVE_NOTIFY_H_
#define LISTENFDS_NATIVE_NOTIFY_H_

#include "call.h"

// notifyUnix(path, state, fds: Int32Array | null, pid) -> 0 | -errno; `path` starts with NUL when abstract, `pid` 0
// means this process
Napi::Value NotifyUnix(Call& call);
// notifyVsock(cid, port, type, state) -> 0 | -errno; `type` is a SOCK_* or 0 for the first one that the kernel has
Napi::Value NotifyVsock(Call& call);

#endif  // LISTENFDS_NATIVE_NOTIFY_H_
