#include "files.h"

#include <sys/stat.h>

Napi::Value MakeFifo(Call& call) { return call.Result(mkfifo(call.Name(0), call.Uint(1))); }
