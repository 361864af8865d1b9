// A unix path or abstract name (leading NUL) as the kernel wants it.
#ifndef LISTENFDS_NATIVE_UNIX_ADDRESS_H_
#define LISTENFDS_NATIVE_UNIX_ADDRESS_H_

#include <errno.h>
#include <napi.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

// The length of the address, or -errno.
inline int UnixAddress(Napi::Uint8Array path, sockaddr_un* out) {
  const size_t size = path.ByteLength();
  const bool abstract = size > 0 && path.Data()[0] == 0;
  if (size == 0) return -EINVAL;
  if (size > sizeof(out->sun_path) - (abstract ? 0 : 1)) return -ENAMETOOLONG;
  memset(out, 0, sizeof(*out));
  out->sun_family = AF_UNIX;
  memcpy(out->sun_path, path.Data(), size);
  // unix(7): the NUL at the end of a path counts, every byte of an abstract name does.
  return static_cast<int>(offsetof(sockaddr_un, sun_path) + size + (abstract ? 0 : 1));
}

#endif  // LISTENFDS_NATIVE_UNIX_ADDRESS_H_
