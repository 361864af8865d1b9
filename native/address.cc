#include "address.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

namespace {

void SetIp4(Napi::Env env, Napi::Object out, const sockaddr_in& in) {
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
  out.Set("address", Napi::String::New(env, text));
  out.Set("port", Napi::Number::New(env, ntohs(in.sin_port)));
}

void SetIp6(Napi::Env env, Napi::Object out, const sockaddr_in6& in) {
  char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
  inet_ntop(AF_INET6, &in.sin6_addr, text, INET6_ADDRSTRLEN);
  // Node writes the interface behind a link-local address, so a comparison with server.address() needs it too.
  char interface[IF_NAMESIZE];
  if (in.sin6_scope_id != 0 && if_indextoname(in.sin6_scope_id, interface) != nullptr) {
    strcat(text, "%");
    strcat(text, interface);
  }
  out.Set("address", Napi::String::New(env, text));
  out.Set("port", Napi::Number::New(env, ntohs(in.sin6_port)));
}

void SetUnix(Napi::Env env, Napi::Object out, const sockaddr_un& un, socklen_t length) {
  const size_t start = offsetof(sockaddr_un, sun_path);
  size_t size = length > start ? length - start : 0;
  if (size > sizeof(un.sun_path)) size = sizeof(un.sun_path);
  // unix(7): a pathname ends at its NUL (or at the end of the field), an abstract name counts every byte.
  if (size > 0 && un.sun_path[0] != '\0') size = strnlen(un.sun_path, size);
  out.Set("path", size == 0 ? env.Null() : Napi::String::New(env, un.sun_path, size));
}

}  // namespace

Napi::Value AddressToJs(Napi::Env env, const sockaddr_storage& storage, socklen_t length) {
  if (length < sizeof(sa_family_t)) return env.Null();
  Napi::Object out = Napi::Object::New(env);
  out.Set("family", Napi::Number::New(env, storage.ss_family));
  // The copies keep the compiler's aliasing rules; an address shorter than its type is padded with zeros.
  if (length > sizeof(storage)) length = sizeof(storage);
  switch (storage.ss_family) {
    case AF_INET: {
      sockaddr_in in = {};
      memcpy(&in, &storage, length < sizeof(in) ? length : sizeof(in));
      SetIp4(env, out, in);
      break;
    }
    case AF_INET6: {
      sockaddr_in6 in = {};
      memcpy(&in, &storage, length < sizeof(in) ? length : sizeof(in));
      SetIp6(env, out, in);
      break;
    }
    case AF_UNIX: {
      sockaddr_un un = {};
      memcpy(&un, &storage, length < sizeof(un) ? length : sizeof(un));
      SetUnix(env, out, un, length);
      break;
    }
    case AF_VSOCK: {
      sockaddr_vm vm = {};
      memcpy(&vm, &storage, length < sizeof(vm) ? length : sizeof(vm));
      out.Set("cid", Napi::Number::New(env, vm.svm_cid));
      out.Set("port", Napi::Number::New(env, vm.svm_port));
      break;
    }
    case AF_NETLINK: {
      sockaddr_nl nl = {};
      memcpy(&nl, &storage, length < sizeof(nl) ? length : sizeof(nl));
      out.Set("pid", Napi::Number::New(env, nl.nl_pid));
      out.Set("groups", Napi::Number::New(env, nl.nl_groups));
      break;
    }
  }
  return out;
}
