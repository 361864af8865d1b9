// File system calls that Node does not offer, for binding a unix path or a FIFO.
#ifndef LISTENFDS_NATIVE_FILES_H_
#define LISTENFDS_NATIVE_FILES_H_

#include "call.h"

// makeFifo(path, mode) -> 0 | -errno
Napi::Value MakeFifo(Call& call);

#endif  // LISTENFDS_NATIVE_FILES_H_
