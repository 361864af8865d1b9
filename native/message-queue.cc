#include "message-queue.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// The system calls take the name without its slash; null if it has none.
const char* WithoutSlash(const char* name) { return name[0] == '/' ? name + 1 : nullptr; }

}  // namespace

int ReadQueueAttributes(int fd, MessageQueueAttributes* out) {
  *out = {};
  return static_cast<int>(syscall(SYS_mq_getsetattr, fd, nullptr, out));
}

Napi::Value OpenMessageQueue(Call& call) {
  const char* name = WithoutSlash(call.Name(0));
  if (name == nullptr) return call.Number(-EINVAL);
  MessageQueueAttributes attributes = {};
  attributes.max_messages = call.Size(2);
  attributes.message_size = call.Size(3);
  const bool defaults = attributes.max_messages == 0 && attributes.message_size == 0;
  return call.Result(syscall(SYS_mq_open, name, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, call.Uint(1),
                             defaults ? nullptr : &attributes));
}

Napi::Value UnlinkMessageQueue(Call& call) {
  const char* name = WithoutSlash(call.Name(0));
  if (name == nullptr) return call.Number(-EINVAL);
  return call.Result(syscall(SYS_mq_unlink, name));
}

Napi::Value SendToMessageQueue(Call& call) {
  long result;
  do {
    result = syscall(SYS_mq_timedsend, call.Fd(), call[1].data, call[1].size, call.Uint(2), nullptr);
  } while (result < 0 && errno == EINTR);
  return call.Result(result);
}

Napi::Value ReceiveFromMessageQueue(Call& call) {
  if (call[2].size < 1) return call.Number(-EINVAL);
  long result;
  do {
    result = syscall(SYS_mq_timedreceive, call.Fd(), call[1].data, call[1].size, call[2].data, nullptr);
  } while (result < 0 && errno == EINTR);
  return call.Result(result);
}

Napi::Value IsMessageQueue(Call& call) {
  if (fcntl(call.Fd(), F_GETFD) < 0) return call.Result(-1);
  MessageQueueAttributes attributes;
  if (ReadQueueAttributes(call.Fd(), &attributes) == 0) return Napi::Boolean::New(call.env, true);
  // EBADF for an open descriptor: it is something else.
  return errno == EBADF ? Napi::Boolean::New(call.env, false) : call.Result(-1);
}
