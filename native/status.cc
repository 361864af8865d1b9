#include "status.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

// Numbers that older headers lack.
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_NO_AUTOMOUNT
#define AT_NO_AUTOMOUNT 0x800
#endif

static_assert(offsetof(Status, inode) == 32 && offsetof(Status, device_major) == 136, "where the kernel writes them");

int ReadStatus(int fd, Status* status) {
  constexpr unsigned kTypeModeOwnerInode = 0x1 | 0x2 | 0x8 | 0x10 | 0x100;
  return static_cast<int>(syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, kTypeModeOwnerInode, status));
}
