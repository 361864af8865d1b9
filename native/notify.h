// Messages to the service manager, sd_notify(3), and the pipe that a barrier needs.
#ifndef LISTENFDS_NATIVE_NOTIFY_H_
#define LISTENFDS_NATIVE_NOTIFY_H_

#include <napi.h>

// Adds to `exports`:
//   notifyUnix(path, state, fds, pid) -> 0 | -errno; `path` starts with NUL when abstract, `pid` 0 means this process
//   notifyVsock(cid, port, type, state) -> 0 | -errno; `type` is a SOCK_* or 0 for the first one that the kernel has
//   pipe() -> [read end, write end] | -errno
// None of them waits: what cannot be sent within some milliseconds fails with -EAGAIN or -ETIMEDOUT.
void ExportNotify(Napi::Object exports);

#endif  // LISTENFDS_NATIVE_NOTIFY_H_
