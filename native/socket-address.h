// Socket addresses: what the kernel's bytes say, and the bytes for an address that somebody has written. No Node-API,
// so that test/fuzz can run it.
#ifndef LISTENFDS_NATIVE_SOCKET_ADDRESS_H_
#define LISTENFDS_NATIVE_SOCKET_ADDRESS_H_

#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

// Which fields are meant depends on the family.
struct SocketAddress {
  sa_family_t family = AF_UNSPEC;
  char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE] = "";  // IP: the address, of a link-local one with its %zone
  uint32_t port = 0;                                   // IP, vsock
  char path[sizeof(sockaddr_un::sun_path)] = "";       // unix; not terminated
  size_t path_size = 0;                                // 0 when unnamed
  uint32_t cid = 0;                                    // vsock
  uint32_t pid = 0;                                    // netlink
  uint32_t groups = 0;                                 // netlink
};

// Reads an address from the kernel. `length` is the kernel's: bytes behind it are never read, an address shorter than
// its type is padded with zeros. False if there is not even a family.
bool ReadSocketAddress(const void* bytes, size_t length, SocketAddress* out);

// An IP address with a %zone if it needs one, or -errno; otherwise the length of `out`.
int WriteInetAddress(const char* host, uint16_t port, sockaddr_storage* out);

// A unix path, or an abstract name with its leading NUL; the length of `out`, or -errno.
int WriteUnixAddress(const void* path, size_t size, sockaddr_un* out);

#endif  // LISTENFDS_NATIVE_SOCKET_ADDRESS_H_
