// sendmsg(2) with control data, cmsg(3).
#ifndef LISTENFDS_NATIVE_SEND_H_
#define LISTENFDS_NATIVE_SEND_H_

#include <stddef.h>
#include <sys/socket.h>

// SCM_MAX_FD of the kernel, unix(7).
constexpr size_t kMostDescriptors = 253;

// Room for descriptors and credentials, aligned as CMSG_FIRSTHDR wants it.
union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kMostDescriptors) + CMSG_SPACE(sizeof(ucred))];
};

// Appends a header to msg_control, behind msg_controllen; returns where its data goes.
void* AddControl(msghdr* message, int type, size_t size);

// Never waits, raises no SIGPIPE. Returns the bytes, or -1 with errno.
ssize_t Send(int fd, const msghdr* message);

#endif  // LISTENFDS_NATIVE_SEND_H_
