// Other processes, and this one as others see it.
#ifndef LISTENFDS_NATIVE_PROCESS_H_
#define LISTENFDS_NATIVE_PROCESS_H_

#include "call.h"

// threadId() -> gettid(2)
Napi::Value ThreadId(Call& call);
// mayListen() -> whether listen(2) is allowed. If a seccomp filter is in force a child tries: it may be killed for
// it.
Napi::Value MayListen(Call& call);
// pidfdInode(pid) -> bigint | -errno; -EOPNOTSUPP if the kernel has no pidfs
Napi::Value PidfdInode(Call& call);
// borrowFd(pid, fd) -> a descriptor of ours for the same thing | -errno
Napi::Value BorrowFd(Call& call);
// becomeSubreaper() -> 0 | -errno: orphaned descendants become our children
Napi::Value BecomeSubreaper(Call& call);
// reapProcess(pid) -> { pid, code, signal } | null while it runs | -errno; pid -1: any child
Napi::Value ReapProcess(Call& call);

#endif  // LISTENFDS_NATIVE_PROCESS_H_
