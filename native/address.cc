#include "address.h"

#include "call.h"
#include "socket-address.h"

Napi::Value AddressToJs(Napi::Env env, const sockaddr_storage& storage, socklen_t length) {
  SocketAddress address;
  if (!ReadSocketAddress(&storage, length < sizeof(storage) ? length : sizeof(storage), &address)) return env.Null();
  Record out(env);
  out.SetNumber("family", address.family);
  switch (address.family) {
    case AF_INET:
    case AF_INET6:
      out.SetValue("address", Napi::String::New(env, address.host));
      out.SetNumber("port", address.port);
      break;
    case AF_UNIX:
      if (address.path_size == 0) {
        out.SetValue("path", env.Null());
      } else {
        out.SetValue("path", Napi::String::New(env, address.path, address.path_size));
      }
      break;
    case AF_VSOCK:
      out.SetNumber("cid", address.cid);
      out.SetNumber("port", address.port);
      break;
    case AF_NETLINK:
      out.SetNumber("pid", address.pid);
      out.SetNumber("groups", address.groups);
      break;
  }
  return out;
}
