// File system calls that Node does not offer, for binding a unix path or a FIFO.
#ifndef LISTENFDS_NATIVE_FILES_H_
#define LISTENFDS_NATIVE_FILES_H_

#include <napi.h>

// exchangePaths(a, b) -> 0 | -errno; renameat2(2) with RENAME_EXCHANGE
Napi::Value ExchangePaths(const Napi::CallbackInfo& info);
// makeFifo(path, mode) -> 0 | -errno
Napi::Value MakeFifo(const Napi::CallbackInfo& info);
// userId(name) -> number | null where there is none | -errno; groupId likewise: through nss, like getent(1)
Napi::Value UserId(const Napi::CallbackInfo& info);
Napi::Value GroupId(const Napi::CallbackInfo& info);

#endif  // LISTENFDS_NATIVE_FILES_H_
