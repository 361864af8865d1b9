// statx(2) by its number: musl has the function since 1.2.5 only, and glibc's fstat(2) has another name since 2.33.
#ifndef LISTENFDS_NATIVE_STATUS_H_
#define LISTENFDS_NATIVE_STATUS_H_

#include <stdint.h>

// The kernel's struct statx as far as it is read here; the headers of the C libraries disagree on where it is declared.
struct Status {
  uint32_t mask;
  uint32_t block_size;
  uint64_t attributes;
  uint32_t links;
  uint32_t uid;
  uint32_t gid;
  uint16_t mode;
  uint16_t unused;
  uint64_t inode;
  uint64_t size_and_times[11];
  uint32_t device_id_major;
  uint32_t device_id_minor;
  uint32_t device_major;
  uint32_t device_minor;
  uint64_t newer[14];
};
static_assert(sizeof(Status) == 256, "as long as the kernel's");

// Of an open descriptor. Returns 0, or -1 with errno.
int ReadStatus(int fd, Status* status);

#endif  // LISTENFDS_NATIVE_STATUS_H_
