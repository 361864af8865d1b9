#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "instance.h"

namespace {

Napi::Value Pair(const Call& call, const int (&ends)[2]) {
  Napi::Array out = Napi::Array::New(call.env, 2);
  for (uint32_t i = 0; i < 2; i++) out.Set(i, ends[i]);
  return out;
}

}  // namespace

Napi::Value SetCloexec(Call& call) {
  // FD_CLOEXEC is the only descriptor flag there is, so nothing is lost by not reading it first.
  return call.Result(fcntl(call.Fd(), F_SETFD, call.Flag(1) ? FD_CLOEXEC : 0));
}

Napi::Value SetNonblock(Call& call) {
  const int flags = fcntl(call.Fd(), F_GETFL);
  if (flags < 0) return call.Result(flags);
  const int wanted = call.Flag(1) ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return call.Result(wanted == flags ? 0 : fcntl(call.Fd(), F_SETFL, wanted));
}

Napi::Value Duplicate(Call& call) { return call.Result(fcntl(call.Fd(), F_DUPFD_CLOEXEC, 3)); }

Napi::Value ReplaceFd(Call& call) { return call.Result(dup2(call.Fd(), call.Int(1)) < 0 ? -1 : 0); }

Napi::Value ReadBytes(Call& call) {
  ssize_t size;
  do {
    size = read(call.Fd(), call[1].data, call[1].size);
  } while (size < 0 && errno == EINTR);
  return call.Result(size);
}

Napi::Value WriteBytes(Call& call) {
  ssize_t size;
  do {
    size = write(call.Fd(), call[1].data, call[1].size);
  } while (size < 0 && errno == EINTR);
  return call.Result(size);
}

Napi::Value Pipe(Call& call) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return call.Result(-1);
  return Pair(call, ends);
}

// Of packets: a message and its descriptors stay together, and the end of one side is the end of file of the other.
Napi::Value SocketPair(Call& call) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return call.Result(-1);
  return Pair(call, ends);
}

// close(2): not again after EINTR, Linux has let go of the number by then.
Napi::Value CloseFd(Call& call) { return call.Result(close(call.Fd())); }

Napi::Value CloseElsewhere(Call& call) {
  Instance::Of(call.env)->closer.Close(call.Fd());
  return call.env.Undefined();
}
