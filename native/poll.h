// Readiness of one descriptor on the event loop: uv_poll_t. A poll owns its descriptor and closes it, at the latest
// when the environment (the process, or a worker thread) ends.
#ifndef LISTENFDS_NATIVE_POLL_H_
#define LISTENFDS_NATIVE_POLL_H_

#include "call.h"

// createPoll(fd, callback: (events) => void) -> an object | -errno. -EPERM if the descriptor cannot be polled (a
// regular file), -ENOSYS if the runtime has no libuv; the descriptor is the caller's then.
// The callback gets UV_READABLE 1, UV_WRITABLE 2, UV_PRIORITIZED 8, or kPollError with everything that was asked for:
// an error is pending on the descriptor and polling has stopped.
Napi::Value CreatePoll(Call& call);
// startPoll(poll, events) -> 0 | -errno; events 0 stops it. -EBADF if the descriptor is closed
Napi::Value StartPoll(Call& call);
// refPoll(poll, on): whether it keeps the event loop alive
Napi::Value RefPoll(Call& call);
// closePoll(poll): stops it and closes the descriptor at once; a second call does nothing
Napi::Value ClosePoll(Call& call);

#endif  // LISTENFDS_NATIVE_POLL_H_
