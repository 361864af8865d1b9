// Whatever text stands where an address should be: it becomes one that reads as the same, or an error.
#include <stdint.h>
#include <string.h>

#include <string>

#include "check.h"
#include "socket-address.h"

namespace {

void CheckInet(const std::string& text) {
  sockaddr_storage address;
  const int length = WriteInetAddress(text.c_str(), 4711, &address);
  if (length < 0) return;
  SocketAddress read;
  CHECK(ReadSocketAddress(&address, static_cast<size_t>(length), &read));
  CHECK(read.port == 4711);
  sockaddr_storage again;
  CHECK(WriteInetAddress(read.host, 4711, &again) == length);
  CHECK(memcmp(&again, &address, sizeof(again)) == 0);
}

void CheckUnix(const Exact& path) {
  sockaddr_un address;
  const int length = WriteUnixAddress(path.data(), path.size(), &address);
  if (length < 0) return;
  CHECK(static_cast<size_t>(length) <= sizeof(address));
  SocketAddress read;
  CHECK(ReadSocketAddress(&address, static_cast<size_t>(length), &read));
  // A path ends at its first NUL, an abstract name does not.
  const char* bytes = static_cast<const char*>(path.data());
  const size_t wanted = bytes[0] == '\0' ? path.size() : strnlen(bytes, path.size());
  CHECK(read.path_size == wanted && memcmp(read.path, bytes, wanted) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  CheckInet(std::string(reinterpret_cast<const char*>(data), size));
  CheckUnix(Exact(data, size));
  return 0;
}
