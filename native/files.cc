#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

napi_value ExchangePaths(Call& call) {
  return call.Result(syscall(SYS_renameat2, AT_FDCWD, call.Name(0), AT_FDCWD, call.Name(1), RENAME_EXCHANGE));
}

napi_value MakeFifo(Call& call) { return call.Result(mkfifo(call.Name(0), call.Uint(1))); }
