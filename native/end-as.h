// Waiting for a child in next to no memory.
#ifndef LISTENFDS_NATIVE_END_AS_H_
#define LISTENFDS_NATIVE_END_AS_H_

#include <sys/types.h>

// Ends as the child ends: with its status, or by the same signal. Called in a process that fork(2) has made of a large
// one, it gives back all memory first; else each page that the large one writes to while we wait would be there twice.
[[noreturn]] void EndAs(pid_t child);

#endif  // LISTENFDS_NATIVE_END_AS_H_
