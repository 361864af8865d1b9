// The binding: facts and system calls, no policy. A failed system call is returned as -errno. src/system/addon.ts has
// the types. Nothing here is static but this table, so every thread may load its own instance.
#include "call.h"
#include "descriptor.h"
#include "facts.h"
#include "files.h"
#include "inet.h"
#include "instance.h"
#include "launch.h"
#include "message-queue.h"
#include "message.h"
#include "notify.h"
#include "peer.h"
#include "poll.h"
#include "process.h"
#include "socket.h"
#include "users.h"

namespace {

constexpr Function kFunctions[] = {
    {"facts", Facts, {kInt}},

    {"setCloexec", SetCloexec, {kInt, kFlag}},
    {"setNonblock", SetNonblock, {kInt, kFlag}},
    {"duplicate", Duplicate, {kInt}},
    {"replaceFd", ReplaceFd, {kInt, kInt}},
    {"readBytes", ReadBytes, {kInt, kBytes}},
    {"writeBytes", WriteBytes, {kInt, kBytes}},
    {"pipe", Pipe, {}},
    {"socketPair", SocketPair, {}},
    {"closeFd", CloseFd, {kInt}},
    {"closeElsewhere", CloseElsewhere, {kInt}},

    {"createPoll", CreatePoll, {kInt, kFunction}},
    {"startPoll", StartPoll, {kObject, kInt}},
    {"refPoll", RefPoll, {kObject, kFlag}},
    {"closePoll", ClosePoll, {kObject}},

    {"openSocket", OpenSocket, {kInt, kInt, kInt}},
    {"bindInet", BindInet, {kInt, kName, kUint, kFlag}},
    {"bindUnix", BindUnix, {kInt, kBytes}},
    {"bindVsock", BindVsock, {kInt, kUint, kUint}},
    {"bindNetlink", BindNetlink, {kInt, kUint}},
    {"connectUnix", ConnectUnix, {kInt, kBytesOrNull}},
    {"listenSocket", ListenSocket, {kInt, kInt}},
    {"acceptSocket", AcceptSocket, {kInt}},
    {"shutdownSocket", ShutdownSocket, {kInt}},
    {"setSocketOption", SetSocketOption, {kInt, kName, kInt}},
    {"socketType", SocketType, {kInt}},
    {"isListening", IsListening, {kInt}},
    {"socketName", SocketName, {kInt}},
    {"numericAddress", NumericAddress, {kName}},

    {"peerCredentials", PeerCredentials, {kInt, kWords, kFlag}},
    {"peerLabel", PeerLabel, {kInt, kUint}},
    {"peerPidfd", PeerPidfd, {kInt}},
    {"listenerOwner", ListenerOwner, {kInt}},

    {"messageLayout", MessageLayout, {}},
    {"receiveMessages", ReceiveMessages, {kInt, kBytes, kInts, kUint, kUint, kFlag}},
    {"sendMessage", SendMessage, {kInt, kBytes, kBytesOrNull, kIntsOrNull}},
    {"sendNetlink", SendNetlink, {kInt, kBytes, kUint, kUint}},

    {"openMessageQueue", OpenMessageQueue, {kName, kUint, kSize, kSize}},
    {"unlinkMessageQueue", UnlinkMessageQueue, {kName}},
    {"sendToMessageQueue", SendToMessageQueue, {kInt, kBytes, kUint}},
    {"receiveFromMessageQueue", ReceiveFromMessageQueue, {kInt, kBytes, kWords}},
    {"isMessageQueue", IsMessageQueue, {kInt}},

    {"notifyUnix", NotifyUnix, {kText, kText, kIntsOrNull, kInt}},
    {"notifyVsock", NotifyVsock, {kUint, kUint, kInt, kText}},

    {"makeFifo", MakeFifo, {kName, kUint}},
    {"userId", UserId, {kName}},
    {"groupId", GroupId, {kName}},

    {"threadId", ThreadId, {}},
    {"mayListen", MayListen, {}},
    {"pidfdInode", PidfdInode, {kInt}},
    {"borrowFd", BorrowFd, {kInt, kInt}},
    {"becomeSubreaper", BecomeSubreaper, {}},
    {"reapProcess", ReapProcess, {kInt}},
    {"startProcess", StartProcess, {kName, kNames, kNames, kInts, kNameOrNull, kFlag, kFlag, kInt}},
    {"startGuardedProcess", StartGuardedProcess, {kName, kNames, kNames, kInts, kNameOrNull, kFlag, kFlag, kInt}},
};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Instance());
  for (const Function& function : kFunctions) Export(exports, &function);
  return exports;
}

}  // namespace

NODE_API_MODULE(listenfds, Init)
