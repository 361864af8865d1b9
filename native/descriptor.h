// The life of one descriptor, whatever it is of: fcntl(2), dup(2), and bytes of one that is ready without a thread,
// which fs does only in its thread pool.
#ifndef LISTENFDS_NATIVE_DESCRIPTOR_H_
#define LISTENFDS_NATIVE_DESCRIPTOR_H_

#include "call.h"

// setCloexec(fd, on) -> 0 | -errno
Napi::Value SetCloexec(Call& call);
// setNonblock(fd, on) -> 0 | -errno; O_NONBLOCK, which whoever shares the open file description sees
Napi::Value SetNonblock(Call& call);
// duplicate(fd) -> a new descriptor of the same open file, 3 or above, with FD_CLOEXEC | -errno
Napi::Value Duplicate(Call& call);
// replaceFd(from, to) -> 0 | -errno; dup2(2): `to` becomes another `from`, and stays inheritable
Napi::Value ReplaceFd(Call& call);
// readBytes(fd, buffer) -> bytes, 0 at the end | -errno
Napi::Value ReadBytes(Call& call);
// writeBytes(fd, data) -> bytes | -errno
Napi::Value WriteBytes(Call& call);
// pipe() -> [read end, write end] | -errno; non-blocking and close-on-exec
Napi::Value Pipe(Call& call);
Napi::Value SocketPair(Call& call);
// closeFd(fd) -> 0 | -errno
Napi::Value CloseFd(Call& call);
// closeElsewhere(fd): in a thread, since the last close of a file that somebody else has opened can stand still; soon,
// and in the order of the calls
Napi::Value CloseElsewhere(Call& call);

#endif  // LISTENFDS_NATIVE_DESCRIPTOR_H_
