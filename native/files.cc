#include "files.h"

#include <sys/stat.h>

napi_value MakeFifo(Call& call) { return call.Result(mkfifo(call.Name(0), call.Uint(1))); }
