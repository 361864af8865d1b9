// getsockopt(2) of a value that has one size.
#ifndef LISTENFDS_NATIVE_SOCKET_OPTION_H_
#define LISTENFDS_NATIVE_SOCKET_OPTION_H_

#include <sys/socket.h>

// False with errno if the kernel does not tell.
template <typename Value>
bool ReadOption(int fd, int level, int name, Value* value) {
  socklen_t length = sizeof(*value);
  return getsockopt(fd, level, name, value, &length) == 0;
}

#endif  // LISTENFDS_NATIVE_SOCKET_OPTION_H_
