// The binding: facts and system calls, no policy. Arguments come checked from TypeScript (src/native.ts has the types);
// a failed system call is returned as -errno. Nothing here is static, so every thread may load its own instance.
#include <napi.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include "descriptor.h"
#include "files.h"
#include "inet.h"
#include "message.h"
#include "mqueue.h"
#include "notify.h"
#include "peer.h"
#include "poll.h"
#include "predicates.h"
#include "process.h"
#include "socket.h"
#include "stream.h"

namespace {

void Export(Napi::Object exports, const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
  exports.Set(name, Napi::Function::New(exports.Env(), function, name));
}

Napi::Object Init(Napi::Env, Napi::Object exports) {
#ifdef __GLIBC__
  // The loader of musl takes an addon that was built for glibc for one of its own, as long as it knows every name in
  // it, and what then happens is anybody's guess. This name it does not know.
  gnu_get_libc_version();
#endif
  Export(exports, "facts", Facts);
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
  Export(exports, "bindInet", BindInet);
  Export(exports, "setNonblock", SetNonblock);
  Export(exports, "startProcess", StartProcess);
  Export(exports, "startGuardedProcess", StartGuardedProcess);
  Export(exports, "reapProcess", ReapProcess);
  Export(exports, "becomeSubreaper", BecomeSubreaper);
  Export(exports, "borrowFd", BorrowFd);
  Export(exports, "listenerOwner", ListenerOwner);
  Export(exports, "makeFifo", MakeFifo);
  Export(exports, "createPoll", CreatePoll);
  Export(exports, "startPoll", StartPoll);
  Export(exports, "refPoll", RefPoll);
  Export(exports, "closePoll", ClosePoll);
  Export(exports, "messageLayout", MessageLayout);
  Export(exports, "receiveMessages", ReceiveMessages);
  Export(exports, "sendMessage", SendMessage);
  Export(exports, "sendNetlink", SendNetlink);
  Export(exports, "openSocket", OpenSocket);
  Export(exports, "bindUnix", BindUnix);
  Export(exports, "bindVsock", BindVsock);
  Export(exports, "bindNetlink", BindNetlink);
  Export(exports, "connectUnix", ConnectUnix);
  Export(exports, "listenSocket", ListenSocket);
  Export(exports, "acceptSocket", AcceptSocket);
  Export(exports, "shutdownSocket", ShutdownSocket);
  Export(exports, "setSocketOption", SetSocketOption);
  Export(exports, "openQueue", OpenQueue);
  Export(exports, "unlinkQueue", UnlinkQueue);
  Export(exports, "sendToQueue", SendToQueue);
  Export(exports, "receiveFromQueue", ReceiveFromQueue);
  Export(exports, "readBytes", ReadBytes);
  Export(exports, "writeBytes", WriteBytes);
  Export(exports, "closeFd", CloseFd);
  Export(exports, "replaceFd", ReplaceFd);
  return exports;
}

}  // namespace

NODE_API_MODULE(listenfds, Init)
