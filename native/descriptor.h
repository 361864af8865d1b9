// The life of one descriptor, whatever it is of: fcntl(2), dup(2), and bytes of one that is ready without a thread,
// which fs does only in its thread pool.
#ifndef LISTENFDS_NATIVE_DESCRIPTOR_H_
#define LISTENFDS_NATIVE_DESCRIPTOR_H_

#include "call.h"

// setCloexec(fd, on) -> 0 | -errno
napi_value SetCloexec(Call& call);
// setNonblock(fd, on) -> 0 | -errno; O_NONBLOCK, which whoever shares the open file description sees
napi_value SetNonblock(Call& call);
// duplicate(fd) -> a new descriptor of the same open file, 3 or above, with FD_CLOEXEC | -errno
napi_value Duplicate(Call& call);
// replaceFd(from, to) -> 0 | -errno; dup2(2): `to` becomes another `from`, and stays inheritable
napi_value ReplaceFd(Call& call);
// readBytes(fd, buffer) -> bytes, 0 at the end | -errno
napi_value ReadBytes(Call& call);
// writeBytes(fd, data) -> bytes | -errno
napi_value WriteBytes(Call& call);
// pipe() -> [read end, write end] | -errno; non-blocking and close-on-exec
napi_value Pipe(Call& call);
napi_value SocketPair(Call& call);
// closeFd(fd) -> 0 | -errno
napi_value CloseFd(Call& call);

#endif  // LISTENFDS_NATIVE_DESCRIPTOR_H_
