// Messages with everything that travels beside them: sender, credentials, descriptors, label, timestamp.
#ifndef LISTENFDS_NATIVE_MESSAGE_H_
#define LISTENFDS_NATIVE_MESSAGE_H_

#include "call.h"

// messageLayout() -> { batch, nameSize, controlSize, fields }: the memory that receiveMessages() expects.
Napi::Value MessageLayout(Call& call);
// receiveMessages(fd, arena, table, payloadSize, mostBytes, keepFds) -> how many | -errno. Never waits. `arena` has
// room for payload, name and control data of one message or more, `batch` of which are used; of each payload the first
// mostBytes are; `table` gets `fields` numbers a message, in the order of message.cc. Descriptors arrive with
// FD_CLOEXEC; without keepFds they are closed at once, and only their number is told. -EINVAL if the sizes do not
// fit together, -EBUSY while too many descriptors that came before wait to be closed.
Napi::Value ReceiveMessages(Call& call);
// sendMessage(fd, data, path bytes | null, fds: Int32Array | null) -> bytes | -errno. Never waits, raises no SIGPIPE.
Napi::Value SendMessage(Call& call);
// sendNetlink(fd, data, portId, groups) -> bytes | -errno
Napi::Value SendNetlink(Call& call);

#endif  // LISTENFDS_NATIVE_MESSAGE_H_
