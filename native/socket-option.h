// getsockopt(2) of a number.
#ifndef LISTENFDS_NATIVE_SOCKET_OPTION_H_
#define LISTENFDS_NATIVE_SOCKET_OPTION_H_

#include <sys/socket.h>

// False with errno where the kernel does not tell.
inline bool ReadOption(int fd, int level, int name, int* value) {
  socklen_t length = sizeof(*value);
  return getsockopt(fd, level, name, value, &length) == 0;
}

#endif  // LISTENFDS_NATIVE_SOCKET_OPTION_H_
