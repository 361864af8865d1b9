// Messages with everything that travels beside them: sender, credentials, descriptors, label, timestamp.
#ifndef LISTENFDS_NATIVE_MESSAGE_H_
#define LISTENFDS_NATIVE_MESSAGE_H_

#include <napi.h>

// messageLayout() -> { batch, nameSize, controlSize, fields }: what receiveMessages() expects its memory to be.
Napi::Value MessageLayout(const Napi::CallbackInfo& info);
// receiveMessages(fd, arena, table, payloadSize, mostBytes, keepFds) -> how many | -errno. Never waits. `arena` has
// room for `batch` times payload, name and control data; of each payload the first mostBytes are used; `table` gets
// `fields` numbers a message, in the order of message.cc. Descriptors arrive with FD_CLOEXEC; without keepFds they are
// closed at once, and only their number is told.
Napi::Value ReceiveMessages(const Napi::CallbackInfo& info);
// sendMessage(fd, data, path bytes | null, fds: Int32Array | null) -> bytes | -errno. Never waits, raises no SIGPIPE.
Napi::Value SendMessage(const Napi::CallbackInfo& info);
// sendNetlink(fd, data, portId, groups) -> bytes | -errno
Napi::Value SendNetlink(const Napi::CallbackInfo& info);

#endif  // LISTENFDS_NATIVE_MESSAGE_H_
