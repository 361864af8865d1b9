// Bytes of a descriptor that is ready, without a thread: what fs does only in its thread pool.
#ifndef LISTENFDS_NATIVE_STREAM_H_
#define LISTENFDS_NATIVE_STREAM_H_

#include <napi.h>

// readBytes(fd, buffer) -> bytes, 0 at the end | -errno
Napi::Value ReadBytes(const Napi::CallbackInfo& info);
// writeBytes(fd, data) -> bytes | -errno
Napi::Value WriteBytes(const Napi::CallbackInfo& info);
// closeFd(fd) -> 0 | -errno
Napi::Value CloseFd(const Napi::CallbackInfo& info);
// replaceFd(from, to) -> 0 | -errno; dup2(2): `to` becomes another `from`, and stays inheritable
Napi::Value ReplaceFd(const Napi::CallbackInfo& info);

#endif  // LISTENFDS_NATIVE_STREAM_H_
