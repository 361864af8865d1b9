// Starting another program with descriptors of ours, which node:child_process cannot do as a service manager does.
#ifndef LISTENFDS_NATIVE_LAUNCH_H_
#define LISTENFDS_NATIVE_LAUNCH_H_

#include "call.h"

// startProcess(file, argv, env, fds: Int32Array, cwd | null, ownGroup, listenPid, highestFd) -> pid | -errno
// `fds` become 0, 1, 2, … of the program, which inherits nothing else; `listenPid` adds LISTEN_PID to `env`.
// Returns once the program runs; -errno is that of the step that failed, execve(2) for one.
Napi::Value StartProcess(Call& call);
// startGuardedProcess(the same) -> Promise of { pid, child } | -errno
// `child` is a process in between: it ends as the program does, and can be killed to make the program somebody else's
// child. In a thread of its own, for on a busy machine it takes a while until both have run.
Napi::Value StartGuardedProcess(Call& call);

#endif  // LISTENFDS_NATIVE_LAUNCH_H_
