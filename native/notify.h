// Messages to the service manager, sd_notify(3). None of them waits: what cannot be sent within some milliseconds fails
// with -EAGAIN or -ETIMEDOUT.
#ifndef LISTENFDS_NATIVE_NOTIFY_H_
#define LISTENFDS_NATIVE_NOTIFY_H_

#include "call.h"

// One socket per addon instance, closed with it: a worker thread that ends leaves none behind.
void KeepSender(napi_env env);

// notifyUnix(path, state, fds: Int32Array | null, pid) -> 0 | -errno; `path` starts with NUL when abstract, `pid` 0
// means this process
napi_value NotifyUnix(Call& call);
// notifyVsock(cid, port, type, state) -> 0 | -errno; `type` is a SOCK_* or 0 for the first one that the kernel has
napi_value NotifyVsock(Call& call);

#endif  // LISTENFDS_NATIVE_NOTIFY_H_
