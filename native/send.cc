#include "send.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void* AddControl(msghdr* message, int type, size_t size) {
  auto* header = reinterpret_cast<cmsghdr*>(static_cast<char*>(message->msg_control) + message->msg_controllen);
  memset(header, 0, CMSG_SPACE(size));  // the padding goes to the kernel as well
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(size);
  message->msg_controllen += CMSG_SPACE(size);
  return CMSG_DATA(header);
}

// The system call: the function of musl copies control data into a buffer of its own, which is too small for 253
// descriptors.
ssize_t Send(int fd, const msghdr* message) {
  ssize_t sent;
  do {
    sent = syscall(SYS_sendmsg, fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent;
}
