// Sends unix datagrams as fast as they are taken: flood PATH COUNT SIZE. It has a name of its own, as clients have that
// want an answer; blocking, so that none is lost; and many a system call, so that the receiver is what is measured.
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  struct sockaddr_un own = {.sun_family = AF_UNIX};
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  const int length = snprintf(own.sun_path + 1, sizeof(own.sun_path) - 1, "listenfds-flood-%d", (int)getpid());
  strncpy(to.sun_path, argv[1], sizeof(to.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (bind(fd, (struct sockaddr *)&own, offsetof(struct sockaddr_un, sun_path) + 1 + length) != 0 ||
      connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
    perror("flood");
    return 1;
  }
  const size_t size = strtoul(argv[3], NULL, 10);
  struct iovec part = {calloc(1, size), size};
  struct mmsghdr batch[64] = {0};
  for (int i = 0; i < 64; i++) {
    batch[i].msg_hdr.msg_iov = &part;
    batch[i].msg_hdr.msg_iovlen = 1;
  }
  for (long left = strtol(argv[2], NULL, 10); left > 0;) {
    const int sent = sendmmsg(fd, batch, left < 64 ? left : 64, 0);
    if (sent < 0) {
      perror("sendmmsg");
      return 1;
    }
    left -= sent;
  }
  return 0;
}
