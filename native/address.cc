#include "address.h"

#include "call.h"
#include "socket-address.h"

napi_value AddressToJs(napi_env env, const sockaddr_storage& storage, socklen_t length) {
  SocketAddress address;
  if (!ReadSocketAddress(&storage, length < sizeof(storage) ? length : sizeof(storage), &address)) {
    napi_value null = nullptr;
    napi_get_null(env, &null);
    return null;
  }
  Object out(env);
  out.SetNumber("family", address.family);
  switch (address.family) {
    case AF_INET:
    case AF_INET6:
      out.SetText("address", address.host, NAPI_AUTO_LENGTH);
      out.SetNumber("port", address.port);
      break;
    case AF_UNIX:
      if (address.path_size == 0) {
        out.SetNull("path");
      } else {
        out.SetText("path", address.path, address.path_size);
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
  return out.value();
}
