// Whatever bytes stand where a socket address should be: nothing outside of them is read, and what comes out is
// bounded.
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "socket-address.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Exact bytes(data, size);
  SocketAddress address;
  if (!ReadSocketAddress(bytes.data(), size, &address)) {
    CHECK(size < sizeof(sa_family_t));
    return 0;
  }
  CHECK(memchr(address.host, '\0', sizeof(address.host)) != nullptr);
  CHECK(address.path_size <= sizeof(address.path));
  if (address.family != AF_UNIX) CHECK(address.path_size == 0);
  // What the kernel gave can be given to it again, but for a path without room for its NUL, which unix(7) allows.
  if (address.path_size > 0 && (address.path[0] == '\0' || address.path_size < sizeof(address.path))) {
    sockaddr_un un;
    const int length = WriteUnixAddress(address.path, address.path_size, &un);
    CHECK(length > 0);
    SocketAddress again;
    CHECK(ReadSocketAddress(&un, static_cast<size_t>(length), &again));
    CHECK(again.path_size == address.path_size && memcmp(again.path, address.path, address.path_size) == 0);
  }
  return 0;
}
