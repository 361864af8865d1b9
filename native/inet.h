// IP addresses: binding a socket without the event loop taking connections from it, as net.Server would.
#ifndef LISTENFDS_NATIVE_INET_H_
#define LISTENFDS_NATIVE_INET_H_

#include "call.h"

// bindInet(fd, host, port, reuseAddress) -> 0 | -errno; `host` is an IP address, with a %zone if it needs one. An
// IPv6 socket takes IPv4 as well.
Napi::Value BindInet(Call& call);
// numericAddress(text) -> the struct sockaddr of an IP address with an optional %zone, its port 0 | -errno
Napi::Value NumericAddress(Call& call);

#endif  // LISTENFDS_NATIVE_INET_H_
