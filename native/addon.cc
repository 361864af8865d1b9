// The binding: facts and system calls, no policy. Arguments come checked from TypeScript (src/native.ts has the types);
// a failed system call is returned as -errno. Nothing here is static, so every thread may load its own instance.
#include <napi.h>

#include "descriptor.h"
#include "files.h"
#include "notify.h"
#include "peer.h"
#include "predicates.h"
#include "process.h"

namespace {

void Export(Napi::Object exports, const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
  exports.Set(name, Napi::Function::New(exports.Env(), function, name));
}

Napi::Object Init(Napi::Env, Napi::Object exports) {
  Export(exports, "facts", Facts);
  Export(exports, "getCloexec", GetCloexec);
  Export(exports, "setCloexec", SetCloexec);
  Export(exports, "pidfdInode", PidfdInode);
  Export(exports, "threadId", ThreadId);
  Export(exports, "duplicate", Duplicate);
  Export(exports, "setBacklog", SetBacklog);
  Export(exports, "detachStdin", DetachStdin);
  Export(exports, "exchangePaths", ExchangePaths);
  Export(exports, "userId", UserId);
  Export(exports, "groupId", GroupId);
  Export(exports, "socketType", SocketType);
  Export(exports, "isListening", IsListening);
  Export(exports, "socketName", SocketName);
  Export(exports, "numericAddress", NumericAddress);
  Export(exports, "isMessageQueue", IsMessageQueue);
  Export(exports, "peerCredentials", PeerCredentials);
  Export(exports, "peerLabel", PeerLabel);
  Export(exports, "peerPidfd", PeerPidfd);
  ExportNotify(exports);
  Export(exports, "startProcess", StartProcess);
  Export(exports, "reapProcess", ReapProcess);
  Export(exports, "becomeSubreaper", BecomeSubreaper);
  Export(exports, "borrowFd", BorrowFd);
  Export(exports, "listenerOwner", ListenerOwner);
  return exports;
}

}  // namespace

NODE_API_MODULE(listenfds, Init)
