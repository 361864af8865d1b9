#include "inet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

namespace {

// The length of the address, or -errno.
int Parse(const std::string& host, uint16_t port, sockaddr_storage* out) {
  *out = {};
  sockaddr_in* in = reinterpret_cast<sockaddr_in*>(out);
  if (inet_pton(AF_INET, host.c_str(), &in->sin_addr) == 1) {
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    return sizeof(*in);
  }
  *out = {};
  sockaddr_in6* in6 = reinterpret_cast<sockaddr_in6*>(out);
  const size_t zone = host.find('%');
  if (inet_pton(AF_INET6, host.substr(0, zone).c_str(), &in6->sin6_addr) != 1) return -EINVAL;
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(port);
  if (zone != std::string::npos) {
    in6->sin6_scope_id = if_nametoindex(host.c_str() + zone + 1);
    if (in6->sin6_scope_id == 0) return -errno;
  }
  return sizeof(*in6);
}

bool SetFlag(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

}  // namespace

Napi::Value BindInet(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const uint32_t port = info[2].As<Napi::Number>().Uint32Value();
  sockaddr_storage address;
  const int length = Parse(info[1].As<Napi::String>().Utf8Value(), static_cast<uint16_t>(port), &address);
  if (length < 0) return Napi::Number::New(env, length);
  // The distribution may have made IPv6 sockets take IPv6 only (net.ipv6.bindv6only).
  if (address.ss_family == AF_INET6 && !SetFlag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) {
    return Napi::Number::New(env, -errno);
  }
  if (info[3].As<Napi::Boolean>().Value() && !SetFlag(fd, SOL_SOCKET, SO_REUSEADDR, 1)) {
    return Napi::Number::New(env, -errno);
  }
  const int result = bind(fd, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length));
  return Napi::Number::New(env, result == 0 ? 0 : -errno);
}
