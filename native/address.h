// A kernel socket address as plain data.
#ifndef LISTENFDS_NATIVE_ADDRESS_H_
#define LISTENFDS_NATIVE_ADDRESS_H_

#include <napi.h>
#include <sys/socket.h>

// { family, address, port } for IP, { family, path } for unix (null when unnamed, a leading NUL when abstract),
// { family, cid, port } for vsock, { family, pid, groups } for netlink, { family } for anything else.
// `length` is the kernel's; bytes behind it are never read.
Napi::Value AddressToJs(Napi::Env env, const sockaddr_storage& storage, socklen_t length);

#endif  // LISTENFDS_NATIVE_ADDRESS_H_
