#include "predicates.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace {

int Descriptor(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Int32Value(); }

// Returns 0 or -errno.
int SocketOption(int fd, int name, int* value) {
  socklen_t length = sizeof(*value);
  return getsockopt(fd, SOL_SOCKET, name, value, &length) == 0 ? 0 : -errno;
}

}  // namespace

Napi::Value SocketType(const Napi::CallbackInfo& info) {
  int type = 0;
  const int error = SocketOption(Descriptor(info), SO_TYPE, &type);
  return Napi::Number::New(info.Env(), error != 0 ? error : type);
}

Napi::Value IsListening(const Napi::CallbackInfo& info) {
  int listening = 0;
  const int error = SocketOption(Descriptor(info), SO_ACCEPTCONN, &listening);
  if (error != 0) return Napi::Number::New(info.Env(), error);
  return Napi::Boolean::New(info.Env(), listening != 0);
}

Napi::Value SocketName(const Napi::CallbackInfo& info) {
  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  if (getsockname(Descriptor(info), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return Napi::Number::New(info.Env(), -errno);
  }
  const size_t size = std::min<size_t>(length, sizeof(address));
  return Napi::Buffer<char>::Copy(info.Env(), reinterpret_cast<char*>(&address), size);
}

Napi::Value NumericAddress(const Napi::CallbackInfo& info) {
  const std::string text = info[0].As<Napi::String>().Utf8Value();
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;  // one answer, not one for each type
  addrinfo* found = nullptr;
  if (getaddrinfo(text.c_str(), nullptr, &hints, &found) != 0) return Napi::Number::New(info.Env(), -EINVAL);
  Napi::Value address =
      Napi::Buffer<char>::Copy(info.Env(), reinterpret_cast<char*>(found->ai_addr), found->ai_addrlen);
  freeaddrinfo(found);
  return address;
}

Napi::Value IsMessageQueue(const Napi::CallbackInfo& info) {
  const int fd = Descriptor(info);
  if (fcntl(fd, F_GETFD) < 0) return Napi::Number::New(info.Env(), -errno);
  // The kernel's struct mq_attr, eight longs; mq_getattr(3) of the C library raises the glibc floor to 2.34.
  __kernel_long_t attributes[8] = {};
  if (syscall(SYS_mq_getsetattr, fd, nullptr, attributes) == 0) return Napi::Boolean::New(info.Env(), true);
  // EBADF for an open descriptor: it is something else.
  if (errno == EBADF) return Napi::Boolean::New(info.Env(), false);
  return Napi::Number::New(info.Env(), -errno);
}
