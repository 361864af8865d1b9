#include "address.h"

#include "socket-address.h"

Napi::Value AddressToJs(Napi::Env env, const sockaddr_storage& storage, socklen_t length) {
  SocketAddress address;
  if (!ReadSocketAddress(&storage, length < sizeof(storage) ? length : sizeof(storage), &address)) return env.Null();
  Napi::Object out = Napi::Object::New(env);
  out.Set("family", Napi::Number::New(env, address.family));
  switch (address.family) {
    case AF_INET:
    case AF_INET6:
      out.Set("address", Napi::String::New(env, address.host));
      out.Set("port", Napi::Number::New(env, address.port));
      break;
    case AF_UNIX:
      out.Set("path", address.path_size == 0 ? env.Null() : Napi::String::New(env, address.path, address.path_size));
      break;
    case AF_VSOCK:
      out.Set("cid", Napi::Number::New(env, address.cid));
      out.Set("port", Napi::Number::New(env, address.port));
      break;
    case AF_NETLINK:
      out.Set("pid", Napi::Number::New(env, address.pid));
      out.Set("groups", Napi::Number::New(env, address.groups));
      break;
  }
  return out;
}
