// Binding an IP socket without the event loop taking connections from it, as net.Server would.
#ifndef LISTENFDS_NATIVE_INET_H_
#define LISTENFDS_NATIVE_INET_H_

#include <napi.h>

// bindInet(fd, host, port, reuseAddress) -> 0 | -errno; `host` is an IP address, with a %zone where it needs one. An
// IPv6 socket takes IPv4 as well.
Napi::Value BindInet(const Napi::CallbackInfo& info);

#endif  // LISTENFDS_NATIVE_INET_H_
