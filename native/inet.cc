#include "inet.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "socket-address.h"

namespace {

bool SetOption(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

}  // namespace

Napi::Value BindInet(Call& call) {
  const int fd = call.Fd();
  const uint32_t port = call.Uint(2);
  if (port > UINT16_MAX) return call.Number(-EINVAL);
  sockaddr_storage address;
  const int length = WriteInetAddress(call.Name(1), static_cast<uint16_t>(port), &address);
  if (length < 0) return call.Number(length);
  // The distribution may have made IPv6 sockets take IPv6 only (net.ipv6.bindv6only).
  if (address.ss_family == AF_INET6 && !SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) return call.Result(-1);
  if (call.Flag(3) && !SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return call.Result(-1);
  return call.Result(bind(fd, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length)));
}

Napi::Value NumericAddress(Call& call) {
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;  // one answer, not one for each type
  addrinfo* found = nullptr;
  if (getaddrinfo(call.Name(0), nullptr, &hints, &found) != 0) return call.Number(-EINVAL);
  Napi::Value address = call.Bytes(found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return address;
}
