#include "notify.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Headers of older kernels need <sys/socket.h> before this one.
#include <linux/vm_sockets.h>

#include "instance.h"
#include "send.h"
#include "socket-address.h"
#include "socket-option.h"

namespace {

// Between the attempts to get into a full queue: 3.75 ms in all. The first retry is immediate, on a new socket.
constexpr long kPausesNs[] = {0, 250000, 500000, 1000000, 2000000};
constexpr int kVsockConnectMs = 50;

// Whether the receiver should see another sender than the kernel does by itself, as in the C library.
bool NeedsCredentials(pid_t pid) { return pid != 0 || getuid() != geteuid() || getgid() != getegid(); }

// Returns 0 or -errno.
int SendAll(int fd, const msghdr* message) {
  const ssize_t sent = Send(fd, message);
  if (sent < 0) return -errno;
  return static_cast<size_t>(sent) == message->msg_iov->iov_len ? 0 : -EIO;
}

bool NotSupported(int error) {
  return error == -EOPNOTSUPP || error == -ENODEV || error == -ESOCKTNOSUPPORT || error == -EPROTONOSUPPORT ||
         error == -EAFNOSUPPORT || error == -EPFNOSUPPORT || error == -ENOPROTOOPT || error == -ENOTTY ||
         error == -ENOSYS;
}

// Returns 0 or -errno.
int ConnectVsock(int fd, const sockaddr_vm& address) {
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return 0;
  if (errno != EINPROGRESS) return -errno;
  pollfd wait = {fd, POLLOUT, 0};
  int ready;
  do {
    ready = poll(&wait, 1, kVsockConnectMs);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return -errno;
  if (ready == 0) return -ETIMEDOUT;
  int error = 0;
  return ReadOption(fd, SOL_SOCKET, SO_ERROR, &error) ? -error : -errno;
}

// A socket that reaches `address`, or -errno.
int OpenVsock(const sockaddr_vm& address, int type) {
  const int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  // A privileged port tells the other side that root speaks. Whoever is not root goes on with an ordinary one.
  sockaddr_vm local = {};
  local.svm_family = AF_VSOCK;
  local.svm_cid = VMADDR_CID_ANY;
  int result = 0;
  for (unsigned port = 1023; port > 0; port--) {
    local.svm_port = port;
    result = bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof(local)) == 0 ? 0 : -errno;
    if (result != -EADDRINUSE) break;
  }
  if (result == -EACCES || result == -EPERM) result = 0;
  if (result == 0) result = ConnectVsock(fd, address);
  if (result == 0) return fd;
  close(fd);
  return result;
}

int SendVsock(const sockaddr_vm& address, int type, char* text, size_t size) {
  // The machine monitors differ in which types they carry; without one asked for, take the first that there is. Some
  // only say so when it comes to connecting.
  static constexpr int kTypes[] = {SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
  int fd = -EPROTONOSUPPORT;
  for (const int candidate : kTypes) {
    if (type != 0 && type != candidate) continue;
    fd = OpenVsock(address, candidate);
    if (fd >= 0 || !NotSupported(fd)) break;
  }
  if (fd < 0) return fd;
  iovec part = {text, size};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const int result = SendAll(fd, &message);
  close(fd);
  return result;
}

}  // namespace

Napi::Value NotifyUnix(Call& call) {
  Sender* sender = &Instance::Of(call.env)->sender;
  const pid_t pid = call.Int(3);

  sockaddr_un address;
  const int length = WriteUnixAddress(call[0].data, call[0].size, &address);
  if (length < 0) return call.Number(length);
  Control control;
  iovec text = {call[1].data, call[1].size};
  msghdr message = {};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(length);
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  if (!call.Null(2) && call[2].size > 0) {
    if (call[2].size > kMostDescriptors) return call.Number(-E2BIG);
    const size_t size = call[2].size * sizeof(int);
    memcpy(AddControl(&message, SCM_RIGHTS, size), call[2].data, size);
  }
  const size_t without_credentials = message.msg_controllen;
  bool with_credentials = NeedsCredentials(pid);
  if (with_credentials) {
    const ucred credentials = {pid != 0 ? pid : getpid(), getuid(), getgid()};
    memcpy(AddControl(&message, SCM_CREDENTIALS, sizeof(credentials)), &credentials, sizeof(credentials));
  }

  int result = 0;
  for (const long pause : kPausesNs) {
    if (pause > 0) {
      const timespec duration = {0, pause};
      nanosleep(&duration, nullptr);
    }
    const int fd = sender->Acquire();
    if (fd < 0) return call.Number(fd);
    result = SendAll(fd, &message);
    if (result < 0 && result != -EAGAIN && with_credentials) {
      // Not allowed to speak for that process: the manager then sees us, as it does with the C library.
      with_credentials = false;
      message.msg_controllen = without_credentials;
      result = SendAll(fd, &message);
    }
    if (result != -EAGAIN) break;
    // Unread messages count against the socket that sent them; a new one starts from zero.
    sender->Forget(true);
  }
  sender->Release();
  return call.Number(result);
}

Napi::Value NotifyVsock(Call& call) {
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = call.Uint(0);
  address.svm_port = call.Uint(1);
  return call.Number(SendVsock(address, call.Int(2), static_cast<char*>(call[3].data), call[3].size));
}
