// The system calls of a socket's life that Node offers for TCP, UDP and unix streams only.
#ifndef LISTENFDS_NATIVE_SOCKET_H_
#define LISTENFDS_NATIVE_SOCKET_H_

#include "call.h"

// openSocket(domain, type, protocol) -> fd | -errno; non-blocking and close-on-exec
Napi::Value OpenSocket(Call& call);
// bindUnix(fd, path bytes), bindVsock(fd, cid, port), bindNetlink(fd, groups) -> 0 | -errno
Napi::Value BindUnix(Call& call);
Napi::Value BindVsock(Call& call);
Napi::Value BindNetlink(Call& call);
// connectUnix(fd, path bytes | null) -> 0 | -errno; null dissolves the association of a datagram socket
Napi::Value ConnectUnix(Call& call);
// listenSocket(fd, backlog) -> 0 | -errno; once more: another backlog
Napi::Value ListenSocket(Call& call);
// acceptSocket(fd) -> fd | -errno; non-blocking and close-on-exec
Napi::Value AcceptSocket(Call& call);
// shutdownSocket(fd) -> 0 | -errno; ends the sending half
Napi::Value ShutdownSocket(Call& call);
// setSocketOption(fd, name, number) -> 0 | -errno; the names stand in socket.cc
Napi::Value SetSocketOption(Call& call);
// socketType(fd) -> SO_TYPE | -errno
Napi::Value SocketType(Call& call);
// isListening(fd) -> SO_ACCEPTCONN as a boolean | -errno
Napi::Value IsListening(Call& call);
// socketName(fd) -> the struct sockaddr of getsockname(2), as long as the kernel says it is | -errno
Napi::Value SocketName(Call& call);

#endif  // LISTENFDS_NATIVE_SOCKET_H_
