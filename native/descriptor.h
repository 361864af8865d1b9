// What the kernel says about one descriptor.
#ifndef LISTENFDS_NATIVE_DESCRIPTOR_H_
#define LISTENFDS_NATIVE_DESCRIPTOR_H_

#include <napi.h>

// facts(fd) -> object | -errno
Napi::Value Facts(const Napi::CallbackInfo& info);
// setCloexec(fd, on) -> 0 | -errno
Napi::Value SetCloexec(const Napi::CallbackInfo& info);
// pidfdInode(pid) -> bigint | -errno; -EOPNOTSUPP where the kernel has no pidfs
Napi::Value PidfdInode(const Napi::CallbackInfo& info);
// threadId() -> number
Napi::Value ThreadId(const Napi::CallbackInfo& info);
// duplicate(fd) -> a new descriptor of the same open file, with FD_CLOEXEC | -errno
Napi::Value Duplicate(const Napi::CallbackInfo& info);
// setBacklog(fd, backlog) -> 0 | -errno; listen(2) once more
Napi::Value SetBacklog(const Napi::CallbackInfo& info);
// detachStdin() -> the new descriptor | -errno
Napi::Value DetachStdin(const Napi::CallbackInfo& info);

#endif  // LISTENFDS_NATIVE_DESCRIPTOR_H_
