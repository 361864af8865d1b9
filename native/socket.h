// The system calls of a socket's life that Node offers for TCP, UDP and unix streams only.
#ifndef LISTENFDS_NATIVE_SOCKET_H_
#define LISTENFDS_NATIVE_SOCKET_H_

#include <napi.h>

// openSocket(domain, type, protocol) -> fd | -errno; non-blocking and close-on-exec
Napi::Value OpenSocket(const Napi::CallbackInfo& info);
// bindUnix(fd, path bytes), bindVsock(fd, cid, port), bindNetlink(fd, groups) -> 0 | -errno
Napi::Value BindUnix(const Napi::CallbackInfo& info);
Napi::Value BindVsock(const Napi::CallbackInfo& info);
Napi::Value BindNetlink(const Napi::CallbackInfo& info);
// connectUnix(fd, path bytes | null) -> 0 | -errno; null dissolves the association of a datagram socket
Napi::Value ConnectUnix(const Napi::CallbackInfo& info);
// listenSocket(fd, backlog) -> 0 | -errno
Napi::Value ListenSocket(const Napi::CallbackInfo& info);
// acceptSocket(fd) -> fd | -errno; non-blocking and close-on-exec
Napi::Value AcceptSocket(const Napi::CallbackInfo& info);
// shutdownSocket(fd) -> 0 | -errno; ends the sending half
Napi::Value ShutdownSocket(const Napi::CallbackInfo& info);
// setSocketOption(fd, name, number) -> 0 | -errno; the names stand in socket.cc
Napi::Value SetSocketOption(const Napi::CallbackInfo& info);

#endif  // LISTENFDS_NATIVE_SOCKET_H_
