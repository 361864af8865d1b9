#include "socket-address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <string.h>

namespace {

size_t Least(size_t a, size_t b) { return a < b ? a : b; }

// The copy keeps the compiler's aliasing rules, and the bytes may lie anywhere.
template <typename Address>
Address Copy(const void* bytes, size_t length) {
  Address address = {};
  memcpy(&address, bytes, Least(length, sizeof(address)));
  return address;
}

void ReadInet6(const sockaddr_in6& in, SocketAddress* out) {
  inet_ntop(AF_INET6, &in.sin6_addr, out->host, INET6_ADDRSTRLEN);
  out->port = ntohs(in.sin6_port);
  // Node writes the interface behind a link-local address, so a comparison with server.address() needs it too.
  char interface[IF_NAMESIZE];
  if (in.sin6_scope_id == 0 || if_indextoname(in.sin6_scope_id, interface) == nullptr) return;
  const size_t end = strlen(out->host);
  out->host[end] = '%';
  memcpy(out->host + end + 1, interface, strnlen(interface, sizeof(interface) - 1) + 1);
}

void ReadUnix(const sockaddr_un& un, size_t length, SocketAddress* out) {
  const size_t start = offsetof(sockaddr_un, sun_path);
  size_t size = length > start ? Least(length - start, sizeof(un.sun_path)) : 0;
  // unix(7): a pathname ends at its NUL (or at the end of the field), an abstract name counts every byte.
  if (size > 0 && un.sun_path[0] != '\0') size = strnlen(un.sun_path, size);
  memcpy(out->path, un.sun_path, size);
  out->path_size = size;
}

}  // namespace

bool ReadSocketAddress(const void* bytes, size_t length, SocketAddress* out) {
  *out = {};
  if (length < sizeof(sa_family_t)) return false;
  memcpy(&out->family, bytes, sizeof(out->family));
  switch (out->family) {
    case AF_INET: {
      const sockaddr_in in = Copy<sockaddr_in>(bytes, length);
      inet_ntop(AF_INET, &in.sin_addr, out->host, sizeof(out->host));
      out->port = ntohs(in.sin_port);
      break;
    }
    case AF_INET6:
      ReadInet6(Copy<sockaddr_in6>(bytes, length), out);
      break;
    case AF_UNIX:
      ReadUnix(Copy<sockaddr_un>(bytes, length), length, out);
      break;
    case AF_VSOCK: {
      const sockaddr_vm vm = Copy<sockaddr_vm>(bytes, length);
      out->cid = vm.svm_cid;
      out->port = vm.svm_port;
      break;
    }
    case AF_NETLINK: {
      const sockaddr_nl nl = Copy<sockaddr_nl>(bytes, length);
      out->pid = nl.nl_pid;
      out->groups = nl.nl_groups;
      break;
    }
  }
  return true;
}

int WriteInetAddress(const char* host, uint16_t port, sockaddr_storage* out) {
  sockaddr_in in = {};
  if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    *out = {};
    memcpy(out, &in, sizeof(in));
    return sizeof(in);
  }
  sockaddr_in6 in6 = {};
  const char* zone = strchr(host, '%');
  const size_t size = zone != nullptr ? static_cast<size_t>(zone - host) : strlen(host);
  char text[INET6_ADDRSTRLEN];
  if (size >= sizeof(text)) return -EINVAL;
  memcpy(text, host, size);
  text[size] = '\0';
  if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1) return -EINVAL;
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port);
  if (zone != nullptr) {
    in6.sin6_scope_id = if_nametoindex(zone + 1);
    if (in6.sin6_scope_id == 0) return -errno;
  }
  *out = {};
  memcpy(out, &in6, sizeof(in6));
  return sizeof(in6);
}

int WriteUnixAddress(const void* path, size_t size, sockaddr_un* out) {
  *out = {};
  if (size == 0) return -EINVAL;
  const bool abstract = *static_cast<const char*>(path) == '\0';
  if (size > sizeof(out->sun_path) - (abstract ? 0 : 1)) return -ENAMETOOLONG;
  out->sun_family = AF_UNIX;
  memcpy(out->sun_path, path, size);
  // unix(7): the NUL at the end of a path counts, every byte of an abstract name does.
  return static_cast<int>(offsetof(sockaddr_un, sun_path) + size + (abstract ? 0 : 1));
}
