#include "socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

// Headers of older kernels need <sys/socket.h> before this one.
#include <linux/vm_sockets.h>

#include "socket-address.h"
#include "socket-option.h"

// Linux 6.16, newer than the headers this is built with.
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

namespace {

struct Option {
  const char* name;
  int level;
  int option;
};

// What a .socket unit can set, under the name of its directive if it has one. The numbers differ between CPUs.
constexpr Option kOptions[] = {
    {"Broadcast", SOL_SOCKET, SO_BROADCAST},          {"PassCredentials", SOL_SOCKET, SO_PASSCRED},
    {"PassSecurity", SOL_SOCKET, SO_PASSSEC},         {"Timestamping", SOL_SOCKET, SO_TIMESTAMPNS},
    {"ReceiveBuffer", SOL_SOCKET, SO_RCVBUF},         {"SendBuffer", SOL_SOCKET, SO_SNDBUF},
    {"PassPacketInfo", SOL_NETLINK, NETLINK_PKTINFO}, {"ReusePort", SOL_SOCKET, SO_REUSEPORT},
    {"PassRights", SOL_SOCKET, SO_PASSRIGHTS},
};

const Option* Find(const char* name) {
  for (const Option& option : kOptions) {
    if (strcmp(name, option.name) == 0) return &option;
  }
  return nullptr;
}

Napi::Value Bind(Call& call, const void* address, socklen_t length) {
  return call.Result(bind(call.Fd(), static_cast<const sockaddr*>(address), length));
}

}  // namespace

Napi::Value OpenSocket(Call& call) {
  return call.Result(socket(call.Int(0), call.Int(1) | SOCK_CLOEXEC | SOCK_NONBLOCK, call.Int(2)));
}

Napi::Value BindUnix(Call& call) {
  sockaddr_un address;
  const int length = WriteUnixAddress(call[1].data, call[1].size, &address);
  if (length < 0) return call.Number(length);
  return Bind(call, &address, static_cast<socklen_t>(length));
}

Napi::Value BindVsock(Call& call) {
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = call.Uint(1);
  address.svm_port = call.Uint(2);
  return Bind(call, &address, sizeof(address));
}

Napi::Value BindNetlink(Call& call) {
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = call.Uint(1);
  return Bind(call, &address, sizeof(address));
}

Napi::Value ConnectUnix(Call& call) {
  sockaddr_un address = {};
  int length = sizeof(sa_family_t);
  address.sun_family = AF_UNSPEC;
  if (!call.Null(1)) length = WriteUnixAddress(call[1].data, call[1].size, &address);
  if (length < 0) return call.Number(length);
  return call.Result(connect(call.Fd(), reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length)));
}

Napi::Value ListenSocket(Call& call) { return call.Result(listen(call.Fd(), call.Int(1))); }

Napi::Value AcceptSocket(Call& call) {
  int fd;
  do {
    fd = accept4(call.Fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  return call.Result(fd);
}

Napi::Value ShutdownSocket(Call& call) { return call.Result(shutdown(call.Fd(), SHUT_WR)); }

Napi::Value SetSocketOption(Call& call) {
  const Option* option = Find(call.Name(1));
  if (option == nullptr) return call.Number(-ENOPROTOOPT);
  const int value = call.Int(2);
  return call.Result(setsockopt(call.Fd(), option->level, option->option, &value, sizeof(value)));
}

Napi::Value SocketType(Call& call) {
  int type = 0;
  return call.Result(ReadOption(call.Fd(), SOL_SOCKET, SO_TYPE, &type) ? type : -1);
}

Napi::Value IsListening(Call& call) {
  int listening = 0;
  if (!ReadOption(call.Fd(), SOL_SOCKET, SO_ACCEPTCONN, &listening)) return call.Result(-1);
  return Napi::Boolean::New(call.env, listening != 0);
}

Napi::Value SocketName(Call& call) {
  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  if (getsockname(call.Fd(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return call.Result(-1);
  return call.Bytes(&address, length < sizeof(address) ? length : sizeof(address));
}
