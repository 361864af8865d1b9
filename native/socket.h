// The system calls of a socket's life that Node offers for TCP, UDP and unix streams only.
#ifndef LISTENFDS_NATIVE_SOCKET_H_
#define LISTENFDS_NATIVE_SOCKET_H_

#include "call.h"

// openSocket(domain, type, protocol) -> fd | -errno; non-blocking and close-on-exec
napi_value OpenSocket(Call& call);
// bindUnix(fd, path bytes), bindVsock(fd, cid, port), bindNetlink(fd, groups) -> 0 | -errno
napi_value BindUnix(Call& call);
napi_value BindVsock(Call& call);
napi_value BindNetlink(Call& call);
// connectUnix(fd, path bytes | null) -> 0 | -errno; null dissolves the association of a datagram socket
napi_value ConnectUnix(Call& call);
// listenSocket(fd, backlog) -> 0 | -errno; once more: another backlog
napi_value ListenSocket(Call& call);
// acceptSocket(fd) -> fd | -errno; non-blocking and close-on-exec
napi_value AcceptSocket(Call& call);
// shutdownSocket(fd) -> 0 | -errno; ends the sending half
napi_value ShutdownSocket(Call& call);
// setSocketOption(fd, name, number) -> 0 | -errno; the names stand in socket.cc
napi_value SetSocketOption(Call& call);
// socketType(fd) -> SO_TYPE | -errno
napi_value SocketType(Call& call);
// isListening(fd) -> SO_ACCEPTCONN as a boolean | -errno
napi_value IsListening(Call& call);
// socketName(fd) -> the struct sockaddr of getsockname(2), as long as the kernel says it is | -errno
napi_value SocketName(Call& call);

#endif  // LISTENFDS_NATIVE_SOCKET_H_
