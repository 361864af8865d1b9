#include "peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "socket-option.h"

// Newer than the headers this is built with.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

namespace {

// Where the label and the groups begin in the memory that peerCredentials() fills.
constexpr size_t kLabelAt = 4;
constexpr size_t kGroupsAt = 68;

// No security module gives a longer label.
constexpr uint32_t kMostLabel = 64 << 10;

// SO_PEERCRED of anything but a connected unix socket succeeds all the same: with uid -1, or with a listener's own.
// Returns 0 or an errno.
int CheckConnected(int fd) {
  sockaddr_storage peer;
  socklen_t length = sizeof(peer);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0) {
    return peer.ss_family == AF_UNIX ? 0 : EPFNOSUPPORT;
  }
  const int error = errno;
  int domain = 0;
  if (error != EBADF && error != ENOTSOCK && ReadOption(fd, SOL_SOCKET, SO_DOMAIN, &domain) && domain != AF_UNIX) {
    return EPFNOSUPPORT;
  }
  return error;
}

}  // namespace

Napi::Value PeerCredentials(Call& call) {
  const int fd = call.Fd();
  uint32_t* words = static_cast<uint32_t*>(call[1].data);
  if (call[1].size < kGroupsAt || call[1].size > UINT16_MAX * sizeof(gid_t)) return call.Number(-EINVAL);
  if (!call.Flag(2)) {
    const int error = CheckConnected(fd);
    if (error != 0) return call.Number(-error);
  }
  ucred credentials = {};
  if (!ReadOption(fd, SOL_SOCKET, SO_PEERCRED, &credentials)) return call.Result(-1);
  if (credentials.uid == static_cast<uid_t>(-1)) {
    const int error = CheckConnected(fd);
    // A datagram socket that was connected to another: the kernel recorded nobody.
    return call.Number(error != 0 ? -error : -ENODATA);
  }
  socklen_t length = static_cast<socklen_t>((call[1].size - kGroupsAt) * sizeof(uint32_t));
  // If they do not fit, the kernel says how much they need.
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, words + kGroupsAt, &length) != 0 && errno != ERANGE) {
    return call.Result(-1);
  }
  socklen_t label_length = (kGroupsAt - kLabelAt) * sizeof(uint32_t);
  // ENOPROTOOPT if no security module gives any.
  if (getsockopt(fd, SOL_SOCKET, SO_PEERSEC, words + kLabelAt, &label_length) != 0 && errno != ERANGE) label_length = 0;
  words[0] = static_cast<uint32_t>(credentials.pid);
  words[1] = credentials.uid;
  words[2] = credentials.gid;
  words[3] = label_length;
  return call.Number(length / sizeof(gid_t));
}

Napi::Value PeerLabel(Call& call) {
  if (call.Uint(1) > kMostLabel) return call.Number(-EINVAL);
  socklen_t length = call.Uint(1);
  char* label = static_cast<char*>(call.memory.Get(length));
  if (label == nullptr) return call.Number(-ENOMEM);
  if (getsockopt(call.Fd(), SOL_SOCKET, SO_PEERSEC, label, &length) != 0) return call.Result(-1);
  return call.Bytes(label, length);
}

Napi::Value PeerPidfd(Call& call) {
  // The kernel makes it with FD_CLOEXEC.
  int pidfd = -1;
  return call.Result(ReadOption(call.Fd(), SOL_SOCKET, SO_PEERPIDFD, &pidfd) ? pidfd : -1);
}

Napi::Value ListenerOwner(Call& call) {
  ucred owner = {};
  if (!ReadOption(call.Fd(), SOL_SOCKET, SO_PEERCRED, &owner)) return call.Result(-1);
  Record out(call.env);
  out.SetNumber("pid", owner.pid);
  out.SetNumber("uid", owner.uid);
  out.SetNumber("gid", owner.gid);
  return out;
}
