#include "inet.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "socket-address.h"

namespace {

bool SetFlag(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

}  // namespace

Napi::Value BindInet(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const std::string host = info[1].As<Napi::String>().Utf8Value();
  const uint32_t port = info[2].As<Napi::Number>().Uint32Value();
  sockaddr_storage address;
  const int length = WriteInetAddress(host.c_str(), static_cast<uint16_t>(port), &address);
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
