// POSIX message queues, mq_overview(7), by system call: glibc moved mq_*() between libraries in 2.34.
#ifndef LISTENFDS_NATIVE_MQUEUE_H_
#define LISTENFDS_NATIVE_MQUEUE_H_

#include <napi.h>

// openQueue(name with its slash, mode, maxMessages, messageSize) -> fd | -errno. Creates it where there is none; 0 and
// 0 mean the system's defaults. Read-write, non-blocking and close-on-exec.
Napi::Value OpenQueue(const Napi::CallbackInfo& info);
// unlinkQueue(name) -> 0 | -errno
Napi::Value UnlinkQueue(const Napi::CallbackInfo& info);
// sendToQueue(fd, data, priority) -> 0 | -errno
Napi::Value SendToQueue(const Napi::CallbackInfo& info);
// receiveFromQueue(fd, buffer of messageSize bytes, priority: Uint32Array[1]) -> bytes | -errno
Napi::Value ReceiveFromQueue(const Napi::CallbackInfo& info);

#endif  // LISTENFDS_NATIVE_MQUEUE_H_
