// Starting other programs and looking at them: what node:child_process cannot do.
#ifndef LISTENFDS_NATIVE_PROCESS_H_
#define LISTENFDS_NATIVE_PROCESS_H_

#include <napi.h>

// setNonblock(fd, on) -> 0 | -errno; O_NONBLOCK, which whoever shares the open file description sees
Napi::Value SetNonblock(const Napi::CallbackInfo& info);
// startProcess(file, argv, env, fds: Int32Array, cwd | null, ownGroup, listenPid, highestFd) -> pid | -errno
// `fds` become 0, 1, 2, … of the program, which inherits nothing else; `listenPid` adds LISTEN_PID to `env`.
// Returns once the program runs; -errno is that of the step that failed, execve(2) for one.
Napi::Value StartProcess(const Napi::CallbackInfo& info);
// startGuardedProcess(the same) -> Promise of { pid, child } | -errno
// `child` is a process in between: it ends as the program does, and can be killed to make the program somebody else's
// child. In a thread of its own, for on a busy machine it takes a while until both have run.
Napi::Value StartGuardedProcess(const Napi::CallbackInfo& info);
// reapProcess(pid) -> { pid, code, signal } | null while it runs | -errno; pid -1: any child
Napi::Value ReapProcess(const Napi::CallbackInfo& info);
// becomeSubreaper() -> 0 | -errno: orphaned descendants become our children
Napi::Value BecomeSubreaper(const Napi::CallbackInfo& info);
// borrowFd(pid, fd) -> a descriptor of ours for the same thing | -errno
Napi::Value BorrowFd(const Napi::CallbackInfo& info);
// listenerOwner(fd) -> { pid, uid, gid } | -errno: SO_PEERCRED of a unix listener is who called listen(2) last
Napi::Value ListenerOwner(const Napi::CallbackInfo& info);

#endif  // LISTENFDS_NATIVE_PROCESS_H_
