// The single facts behind sd_is_*(3), which ask less than facts() does and need the address byte by byte.
#ifndef LISTENFDS_NATIVE_PREDICATES_H_
#define LISTENFDS_NATIVE_PREDICATES_H_

#include <napi.h>

// socketType(fd) -> SO_TYPE | -errno
Napi::Value SocketType(const Napi::CallbackInfo& info);
// isListening(fd) -> SO_ACCEPTCONN as a boolean | -errno
Napi::Value IsListening(const Napi::CallbackInfo& info);
// socketName(fd) -> the struct sockaddr of getsockname(2), as long as the kernel says it is | -errno
Napi::Value SocketName(const Napi::CallbackInfo& info);
// numericAddress(text) -> the struct sockaddr of an IP address with an optional %zone, its port 0 | -errno
Napi::Value NumericAddress(const Napi::CallbackInfo& info);
// isMessageQueue(fd) -> boolean | -errno
Napi::Value IsMessageQueue(const Napi::CallbackInfo& info);

#endif  // LISTENFDS_NATIVE_PREDICATES_H_
