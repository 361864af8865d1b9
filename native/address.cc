#include "address.h"

#include "socket-address.h"

Napi::Value AddressToJs(Napi::Env env, const sockaddr_storage& storage, socklen_t length) {
  SocketAddress address;
  if (!ReadSocketAddress(&storage, length < sizeof(storage) ? length : sizeof(storage), &address)) return env.Null();
  Napi::Object out = Napi::Object::New(env);
  out.Set("family", address.family);
  switch (address.family) {
    case AF_INET:
    case AF_INET6:
      out.Set("address", address.host);
      out.Set("port", address.port);
      break;
    case AF_UNIX:
      if (address.path_size == 0) {
        out.Set("path", env.Null());
      } else {
        out.Set("path", Napi::String::New(env, address.path, address.path_size));
      }
      break;
    case AF_VSOCK:
      out.Set("cid", address.cid);
      out.Set("port", address.port);
      break;
    case AF_NETLINK:
      out.Set("pid", address.pid);
      out.Set("groups", address.groups);
      break;
  }
  return out;
}
