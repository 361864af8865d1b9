// The accept queue of a listener.
#ifndef LISTENFDS_NATIVE_ACCEPT_QUEUE_H_
#define LISTENFDS_NATIVE_ACCEPT_QUEUE_H_

#include <stdint.h>

#include "accept-queue-answer.h"

AcceptQueue TcpAcceptQueue(int fd);
// Fills both from one sock_diag request; they stay unknown if netlink is denied or the socket belongs to
// another network namespace. `socket_inode` is the socket's own st_ino.
void UnixAcceptQueue(uint32_t socket_inode, AcceptQueue* queue, BoundInode* bound);

#endif  // LISTENFDS_NATIVE_ACCEPT_QUEUE_H_
