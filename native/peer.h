// Who is on the other end of a unix socket, as the kernel recorded it.
#ifndef LISTENFDS_NATIVE_PEER_H_
#define LISTENFDS_NATIVE_PEER_H_

#include "call.h"

// peerCredentials(fd, out: Uint32Array, connection: boolean) -> the number of supplementary groups | -errno
// Fills pid, uid, gid, the length of the label in bytes (0: none), 64 words with the label if it fits, then the groups
// if there is room for all; filling an array costs a third of making an object. -EPFNOSUPPORT for another family,
// -ENOTCONN if there is no peer: a listener, a fresh socket. `connection` says that it is no listener, which saves a
// system call. -EINVAL if `out` has no room for the fields before the groups.
Napi::Value PeerCredentials(Call& call);
// peerLabel(fd, length) -> SO_PEERSEC as a buffer | -errno
Napi::Value PeerLabel(Call& call);
// peerPidfd(fd) -> a new descriptor | -errno; -ENOPROTOOPT before Linux 6.5
Napi::Value PeerPidfd(Call& call);
// listenerOwner(fd) -> { pid, uid, gid } | -errno: SO_PEERCRED of a unix listener is who called listen(2) last
Napi::Value ListenerOwner(Call& call);

#endif  // LISTENFDS_NATIVE_PEER_H_
