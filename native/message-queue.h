// POSIX message queues, mq_overview(7), by system call: glibc moved mq_*() between libraries in 2.34.
#ifndef LISTENFDS_NATIVE_MESSAGE_QUEUE_H_
#define LISTENFDS_NATIVE_MESSAGE_QUEUE_H_

#include <linux/types.h>

#include "call.h"

// The kernel's layout of struct mq_attr; <mqueue.h> would bring in mq_getattr(3), which raises the glibc floor to 2.34.
struct MessageQueueAttributes {
  __kernel_long_t flags;
  __kernel_long_t max_messages;
  __kernel_long_t message_size;
  __kernel_long_t messages;
  __kernel_long_t reserved[4];
};

// Returns 0, or -1 with errno: EBADF if it is not a queue, open or not.
int ReadQueueAttributes(int fd, MessageQueueAttributes* out);

// openMessageQueue(name with its slash, mode, maxMessages, messageSize) -> fd | -errno. Creates it if there is none;
// 0 and 0 mean the system's defaults. Read-write, non-blocking and close-on-exec.
Napi::Value OpenMessageQueue(Call& call);
// unlinkMessageQueue(name) -> 0 | -errno
Napi::Value UnlinkMessageQueue(Call& call);
// sendToMessageQueue(fd, data, priority) -> 0 | -errno
Napi::Value SendToMessageQueue(Call& call);
// receiveFromMessageQueue(fd, buffer of messageSize bytes, priority: Uint32Array[1]) -> bytes | -errno
Napi::Value ReceiveFromMessageQueue(Call& call);
// isMessageQueue(fd) -> boolean | -errno
Napi::Value IsMessageQueue(Call& call);

#endif  // LISTENFDS_NATIVE_MESSAGE_QUEUE_H_
