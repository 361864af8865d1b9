// What belongs to one instance of the addon: a thread that loads it has its own, and it goes with the thread.
#ifndef LISTENFDS_NATIVE_INSTANCE_H_
#define LISTENFDS_NATIVE_INSTANCE_H_

#include <napi.h>

#include "closer.h"
#include "sender.h"

struct Instance {
  Sender sender;
  Closer closer;

  static Instance* Of(Napi::Env env) { return env.GetInstanceData<Instance>(); }
};

#endif  // LISTENFDS_NATIVE_INSTANCE_H_
