#include "socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

// Headers of older kernels need <sys/socket.h> before this one.
#include <linux/vm_sockets.h>

#include <string>

#include "socket-address.h"

namespace {

struct Option {
  const char* name;
  int level;
  int option;
};

// What a .socket unit can set, under the name of its directive where it has one. The numbers differ between CPUs.
constexpr Option kOptions[] = {
    {"Broadcast", SOL_SOCKET, SO_BROADCAST},          {"PassCredentials", SOL_SOCKET, SO_PASSCRED},
    {"PassSecurity", SOL_SOCKET, SO_PASSSEC},         {"Timestamping", SOL_SOCKET, SO_TIMESTAMPNS},
    {"ReceiveBuffer", SOL_SOCKET, SO_RCVBUF},         {"SendBuffer", SOL_SOCKET, SO_SNDBUF},
    {"PassPacketInfo", SOL_NETLINK, NETLINK_PKTINFO},
};

const Option* Find(const std::string& name) {
  for (const Option& option : kOptions) {
    if (name == option.name) return &option;
  }
  return nullptr;
}

int Fd(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Int32Value(); }

Napi::Value Result(const Napi::CallbackInfo& info, int result) {
  return Napi::Number::New(info.Env(), result < 0 ? -errno : result);
}

// The length of the address, or -errno.
int UnixAddress(Napi::Uint8Array path, sockaddr_un* out) {
  return WriteUnixAddress(path.Data(), path.ByteLength(), out);
}

Napi::Value Bind(const Napi::CallbackInfo& info, const void* address, socklen_t length) {
  return Result(info, bind(Fd(info), static_cast<const sockaddr*>(address), length));
}

}  // namespace

Napi::Value OpenSocket(const Napi::CallbackInfo& info) {
  const int type = info[1].As<Napi::Number>().Int32Value();
  return Result(info, socket(info[0].As<Napi::Number>().Int32Value(), type | SOCK_CLOEXEC | SOCK_NONBLOCK,
                             info[2].As<Napi::Number>().Int32Value()));
}

Napi::Value BindUnix(const Napi::CallbackInfo& info) {
  sockaddr_un address;
  const int length = UnixAddress(info[1].As<Napi::Uint8Array>(), &address);
  if (length < 0) return Napi::Number::New(info.Env(), length);
  return Bind(info, &address, static_cast<socklen_t>(length));
}

Napi::Value BindVsock(const Napi::CallbackInfo& info) {
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = info[1].As<Napi::Number>().Uint32Value();
  address.svm_port = info[2].As<Napi::Number>().Uint32Value();
  return Bind(info, &address, sizeof(address));
}

Napi::Value BindNetlink(const Napi::CallbackInfo& info) {
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = info[1].As<Napi::Number>().Uint32Value();
  return Bind(info, &address, sizeof(address));
}

Napi::Value ConnectUnix(const Napi::CallbackInfo& info) {
  sockaddr_un address = {};
  int length = sizeof(sa_family_t);
  address.sun_family = AF_UNSPEC;
  if (!info[1].IsNull()) length = UnixAddress(info[1].As<Napi::Uint8Array>(), &address);
  if (length < 0) return Napi::Number::New(info.Env(), length);
  return Result(info, connect(Fd(info), reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length)));
}

Napi::Value ListenSocket(const Napi::CallbackInfo& info) {
  return Result(info, listen(Fd(info), info[1].As<Napi::Number>().Int32Value()));
}

Napi::Value AcceptSocket(const Napi::CallbackInfo& info) {
  int fd;
  do {
    fd = accept4(Fd(info), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  return Result(info, fd);
}

Napi::Value ShutdownSocket(const Napi::CallbackInfo& info) { return Result(info, shutdown(Fd(info), SHUT_WR)); }

Napi::Value SetSocketOption(const Napi::CallbackInfo& info) {
  const Option* option = Find(info[1].As<Napi::String>().Utf8Value());
  if (option == nullptr) return Napi::Number::New(info.Env(), -ENOPROTOOPT);
  const int value = info[2].As<Napi::Number>().Int32Value();
  return Result(info, setsockopt(Fd(info), option->level, option->option, &value, sizeof(value)));
}
