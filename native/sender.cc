#include "sender.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket-option.h"

namespace {

// As much unread text as the C library allows for; the kernel caps it at net.core.wmem_max.
constexpr int kSendBuffer = 8 << 20;

}  // namespace

int Sender::Acquire() {
  if (fd_ >= 0) {
    uint64_t cookie = 0;
    if (ReadOption(fd_, SOL_SOCKET, SO_COOKIE, &cookie) && cookie == cookie_) return fd_;
    Forget(false);
  }
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof(kSendBuffer));
  fd_ = fd;
  known_ = ReadOption(fd, SOL_SOCKET, SO_COOKIE, &cookie_);
  return fd;
}

void Sender::Release() {
  if (!known_) Forget(true);
}

void Sender::Forget(bool close_it) {
  if (fd_ >= 0 && close_it) close(fd_);
  fd_ = -1;
}
