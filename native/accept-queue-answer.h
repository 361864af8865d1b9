// What the kernel's answers say about the accept queue of a listener. No Node-API and no system calls, so that
// test/fuzz can run it.
#ifndef LISTENFDS_NATIVE_ACCEPT_QUEUE_ANSWER_H_
#define LISTENFDS_NATIVE_ACCEPT_QUEUE_ANSWER_H_

#include <stddef.h>
#include <stdint.h>

struct AcceptQueue {
  bool known = false;
  uint32_t backlog = 0;  // the limit in force, net.core.somaxconn already applied
  uint32_t queued = 0;   // connections waiting for accept(2) now
};

// The inode that a path-bound unix socket lives on, as sock_diag reports it: 32 bits, whatever the file system has.
struct BoundInode {
  bool known = false;
  uint32_t inode = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
};

// TCP_INFO of a socket in the LISTEN state, as long as this kernel makes it.
void ReadTcpInfo(const void* bytes, size_t length, AcceptQueue* queue);
// The answer to a SOCK_DIAG_BY_FAMILY request for one unix socket, at an address aligned for nlmsghdr. Facts that it
// lacks stay unknown, as everything does if it is an error.
void ReadUnixDiag(const void* bytes, size_t length, AcceptQueue* queue, BoundInode* bound);

#endif  // LISTENFDS_NATIVE_ACCEPT_QUEUE_ANSWER_H_
