#include "message.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "control.h"
#include "instance.h"
#include "send.h"
#include "socket-address.h"

namespace {

constexpr uint32_t kBatch = 32;
constexpr size_t kNameSize = 128;  // sockaddr_storage
// A full SCM_RIGHTS (253 descriptors), credentials, two timestamps, a pidfd, and a label of any real length.
constexpr size_t kControlSize = 4096;
// Longer than any message that a socket of Linux takes, and short enough for the numbers of the table.
constexpr size_t kMostPayload = 1 << 30;

// One row of the table.
enum Field {
  kLength,  // as sent, which may be more than fitted
  kFlags,
  kNameLength,
  kFdCount,
  kFdOffset,  // offsets count from the start of the message's own part of the arena
  kPid,
  kUid,
  kGid,
  kLabelOffset,
  kLabelLength,
  kSecondsLow,
  kSecondsHigh,
  kNanoseconds,
  kGroup,
  kFields = 16,
};

enum Flag {
  kTruncated = 1,
  kControlTruncated = 2,
  kHasCredentials = 4,
  kHasTimestamp = 8,
  kHasGroup = 16,
  kSameName = 32,  // as the message before it in this batch
};

void CloseAll(Closer* closer, const unsigned char* fds, size_t count) {
  for (size_t i = 0; i < count; i++) {
    int fd;
    memcpy(&fd, fds + i * sizeof(fd), sizeof(fd));
    closer->Close(fd);
  }
}

void ReadRow(const msghdr& message, const unsigned char* slot, bool keep_fds, Closer* closer, int32_t* row) {
  const ControlData control = ReadControl(message);
  if (control.fds != nullptr) {
    row[kFdCount] = static_cast<int32_t>(control.fd_count);
    row[kFdOffset] = static_cast<int32_t>(control.fds - slot);
    if (!keep_fds) CloseAll(closer, control.fds, control.fd_count);
  }
  CloseAll(closer, control.pidfds,
           control.pidfd_count);  // PassPIDFD= was set by whoever opened the socket; nobody here asked
  if (control.has_credentials) {
    row[kPid] = control.credentials.pid;
    row[kUid] = static_cast<int32_t>(control.credentials.uid);
    row[kGid] = static_cast<int32_t>(control.credentials.gid);
    row[kFlags] |= kHasCredentials;
  }
  if (control.label != nullptr) {
    row[kLabelOffset] = static_cast<int32_t>(reinterpret_cast<const unsigned char*>(control.label) - slot);
    row[kLabelLength] = static_cast<int32_t>(control.label_size);
  }
  if (control.has_timestamp) {
    const uint64_t seconds = static_cast<uint64_t>(control.seconds);
    row[kSecondsLow] = static_cast<int32_t>(seconds & 0xffffffff);
    row[kSecondsHigh] = static_cast<int32_t>(seconds >> 32);
    row[kNanoseconds] = control.nanoseconds;
    row[kFlags] |= kHasTimestamp;
  }
  if (control.has_group) {
    row[kGroup] = control.group;
    row[kFlags] |= kHasGroup;
  }
}

}  // namespace

Napi::Value MessageLayout(Call& call) {
  Record out(call.env);
  out.SetNumber("batch", kBatch);
  out.SetNumber("nameSize", kNameSize);
  out.SetNumber("controlSize", kControlSize);
  out.SetNumber("fields", kFields);
  return out;
}

Napi::Value ReceiveMessages(Call& call) {
  unsigned char* arena = static_cast<unsigned char*>(call[1].data);
  int32_t* table = static_cast<int32_t*>(call[2].data);
  const size_t payload = call.Uint(3);
  const size_t most = call.Uint(4);
  const bool keep_fds = call.Flag(5);
  if (payload > kMostPayload || most > payload) return call.Number(-EINVAL);
  const size_t stride = payload + kNameSize + kControlSize;

  size_t slots = call[1].size / stride;
  if (slots > kBatch) slots = kBatch;
  if (slots == 0 || call[2].size < slots * kFields) return call.Number(-EINVAL);
  // Who floods a socket with descriptors that close slowly waits for them.
  Closer* closer = &Instance::Of(call.env)->closer;
  const size_t room = closer->Room() / kMostDescriptors;
  if (room == 0 && closer->IsBusy()) return call.Number(-EBUSY);
  if (slots > room) slots = room > 0 ? room : 1;
  mmsghdr messages[kBatch];
  iovec parts[kBatch];
  memset(messages, 0, slots * sizeof(messages[0]));
  for (size_t i = 0; i < slots; i++) {
    unsigned char* slot = arena + i * stride;
    parts[i] = {slot, most};
    msghdr& header = messages[i].msg_hdr;
    header.msg_iov = &parts[i];
    header.msg_iovlen = 1;
    header.msg_name = slot + payload;
    header.msg_namelen = kNameSize;
    header.msg_control = slot + payload + kNameSize;
    header.msg_controllen = kControlSize;
  }
  int count;
  do {
    count = recvmmsg(call.Fd(), messages, static_cast<unsigned>(slots), MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC,
                     nullptr);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return call.Result(-1);

  for (int i = 0; i < count; i++) {
    msghdr& header = messages[i].msg_hdr;
    int32_t* row = table + i * kFields;
    memset(row, 0, kFields * sizeof(*row));
    row[kLength] = static_cast<int32_t>(messages[i].msg_len);
    if (header.msg_flags & MSG_TRUNC) row[kFlags] |= kTruncated;
    if (header.msg_flags & MSG_CTRUNC) row[kFlags] |= kControlTruncated;
    // The kernel tells how long the name is, not how much of it there was room for.
    if (header.msg_namelen > kNameSize) header.msg_namelen = kNameSize;
    row[kNameLength] = static_cast<int32_t>(header.msg_namelen);
    if (i > 0 && header.msg_namelen == messages[i - 1].msg_hdr.msg_namelen &&
        memcmp(header.msg_name, messages[i - 1].msg_hdr.msg_name, header.msg_namelen) == 0) {
      row[kFlags] |= kSameName;
    }
    if (header.msg_controllen > 0) ReadRow(header, arena + i * stride, keep_fds, closer, row);
  }
  return call.Number(count);
}

Napi::Value SendMessage(Call& call) {
  iovec part = {call[1].data, call[1].size};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  sockaddr_un address;
  if (!call.Null(2)) {
    const int length = WriteUnixAddress(call[2].data, call[2].size, &address);
    if (length < 0) return call.Number(length);
    message.msg_name = &address;
    message.msg_namelen = static_cast<socklen_t>(length);
  }
  Control control;
  message.msg_control = control.bytes;
  if (!call.Null(3) && call[3].size > 0) {
    if (call[3].size > kMostDescriptors) return call.Number(-EINVAL);
    const size_t size = call[3].size * sizeof(int);
    memcpy(AddControl(&message, SCM_RIGHTS, size), call[3].data, size);
  }
  return call.Result(Send(call.Fd(), &message));
}

Napi::Value SendNetlink(Call& call) {
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_pid = call.Uint(2);
  address.nl_groups = call.Uint(3);
  iovec part = {call[1].data, call[1].size};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_name = &address;
  message.msg_namelen = sizeof(address);
  return call.Result(Send(call.Fd(), &message));
}
