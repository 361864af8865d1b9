#include "peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <vector>

// Newer than the headers this is built with.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

namespace {

// Where the label and the groups begin in what peerCredentials() fills.
constexpr size_t kLabelAt = 4;
constexpr size_t kGroupsAt = 68;

int Descriptor(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Int32Value(); }

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
  length = sizeof(domain);
  if (error != EBADF && error != ENOTSOCK && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
      domain != AF_UNIX) {
    return EPFNOSUPPORT;
  }
  return error;
}

}  // namespace

Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  const int fd = Descriptor(info);
  Napi::Uint32Array out = info[1].As<Napi::Uint32Array>();
  uint32_t* words = out.Data();
  if (!info[2].As<Napi::Boolean>().Value()) {
    const int error = CheckConnected(fd);
    if (error != 0) return Napi::Number::New(info.Env(), -error);
  }
  ucred credentials = {};
  socklen_t length = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return Napi::Number::New(info.Env(), -errno);
  if (credentials.uid == static_cast<uid_t>(-1)) {
    const int error = CheckConnected(fd);
    // A datagram socket that was connected to another: the kernel recorded nobody.
    return Napi::Number::New(info.Env(), error != 0 ? -error : -ENODATA);
  }
  length = (out.ElementLength() - kGroupsAt) * sizeof(uint32_t);
  // Where they do not fit, the kernel says how much they need.
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, words + kGroupsAt, &length) != 0 && errno != ERANGE) {
    return Napi::Number::New(info.Env(), -errno);
  }
  socklen_t label_length = (kGroupsAt - kLabelAt) * sizeof(uint32_t);
  // ENOPROTOOPT where no security module gives any.
  if (getsockopt(fd, SOL_SOCKET, SO_PEERSEC, words + kLabelAt, &label_length) != 0 && errno != ERANGE) label_length = 0;
  words[0] = static_cast<uint32_t>(credentials.pid);
  words[1] = credentials.uid;
  words[2] = credentials.gid;
  words[3] = label_length;
  return Napi::Number::New(info.Env(), length / sizeof(gid_t));
}

Napi::Value PeerLabel(const Napi::CallbackInfo& info) {
  std::vector<char> label(info[1].As<Napi::Number>().Uint32Value());
  socklen_t length = label.size();
  if (getsockopt(Descriptor(info), SOL_SOCKET, SO_PEERSEC, label.data(), &length) != 0) {
    return Napi::Number::New(info.Env(), -errno);
  }
  return Napi::Buffer<char>::Copy(info.Env(), label.data(), length);
}

Napi::Value PeerPidfd(const Napi::CallbackInfo& info) {
  // The kernel makes it with FD_CLOEXEC.
  int pidfd = -1;
  socklen_t length = sizeof(pidfd);
  const int result = getsockopt(Descriptor(info), SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length);
  return Napi::Number::New(info.Env(), result == 0 ? pidfd : -errno);
}
