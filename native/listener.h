// The accept queue of a listener.
#ifndef LISTENFDS_NATIVE_LISTENER_H_
#define LISTENFDS_NATIVE_LISTENER_H_

#include <stdint.h>

#include "queue.h"

Queue TcpQueue(int fd);
// Fills both from one sock_diag request; they stay unknown where netlink is denied or the socket belongs to
// another network namespace. `socket_inode` is the socket's own st_ino.
void UnixQueue(uint32_t socket_inode, Queue* queue, BoundInode* bound);

#endif  // LISTENFDS_NATIVE_LISTENER_H_
