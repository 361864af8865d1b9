// The accept queue of a listener.
#ifndef LISTENFDS_NATIVE_LISTENER_H_
#define LISTENFDS_NATIVE_LISTENER_H_

#include <stdint.h>

struct Queue {
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

Queue TcpQueue(int fd);
// Fills both from one sock_diag request; they stay unknown where netlink is denied or the socket belongs to
// another network namespace. `socket_inode` is the socket's own st_ino.
void UnixQueue(uint32_t socket_inode, Queue* queue, BoundInode* bound);

#endif  // LISTENFDS_NATIVE_LISTENER_H_
