// What the kernel says about one descriptor.
#ifndef LISTENFDS_NATIVE_FACTS_H_
#define LISTENFDS_NATIVE_FACTS_H_

#include "call.h"

// facts(fd) -> object | -errno
Napi::Value Facts(Call& call);

#endif  // LISTENFDS_NATIVE_FACTS_H_
