#include "message.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "socket-address.h"

namespace {

constexpr uint32_t kBatch = 32;
constexpr size_t kNameSize = 128;  // sockaddr_storage
// A full SCM_RIGHTS (253 descriptors), credentials, two timestamps, a pidfd, and a label of any real length.
constexpr size_t kControlSize = 4096;

// One row of the table.
enum Field {
  kLength,  // what was sent, which may be more than what fitted
  kFlags,
  kNameLength,
  kFdCount,
  kFdOffset,  // offsets count from the start of the arena
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

void CloseAll(const unsigned char* fds, size_t count) {
  for (size_t i = 0; i < count; i++) {
    int fd;
    memcpy(&fd, fds + i * sizeof(fd), sizeof(fd));
    close(fd);
  }
}

void ReadRow(const msghdr& message, const unsigned char* arena, bool keep_fds, int32_t* row) {
  const ControlData control = ReadControl(message);
  if (control.fds != nullptr) {
    row[kFdCount] = static_cast<int32_t>(control.fd_count);
    row[kFdOffset] = static_cast<int32_t>(control.fds - arena);
    if (!keep_fds) CloseAll(control.fds, control.fd_count);
  }
  CloseAll(control.pidfds, control.pidfd_count);  // PassPIDFD= was set by whoever opened the socket; nobody here asked
  if (control.has_credentials) {
    row[kPid] = control.credentials.pid;
    row[kUid] = static_cast<int32_t>(control.credentials.uid);
    row[kGid] = static_cast<int32_t>(control.credentials.gid);
    row[kFlags] |= kHasCredentials;
  }
  if (control.label != nullptr) {
    row[kLabelOffset] = static_cast<int32_t>(reinterpret_cast<const unsigned char*>(control.label) - arena);
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

ssize_t Send(int fd, msghdr* message) {
  ssize_t sent;
  do {
    sent = sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

}  // namespace

Napi::Value MessageLayout(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object out = Napi::Object::New(env);
  out.Set("batch", Napi::Number::New(env, kBatch));
  out.Set("nameSize", Napi::Number::New(env, kNameSize));
  out.Set("controlSize", Napi::Number::New(env, kControlSize));
  out.Set("fields", Napi::Number::New(env, kFields));
  return out;
}

Napi::Value ReceiveMessages(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  Napi::Uint8Array memory = info[1].As<Napi::Uint8Array>();
  unsigned char* arena = memory.Data();
  int32_t* table = info[2].As<Napi::Int32Array>().Data();
  const size_t payload = info[3].As<Napi::Number>().Uint32Value();
  const size_t most = info[4].As<Napi::Number>().Uint32Value();
  const bool keep_fds = info[5].As<Napi::Boolean>().Value();
  const size_t stride = payload + kNameSize + kControlSize;

  size_t slots = memory.ByteLength() / stride;
  if (slots > kBatch) slots = kBatch;
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
    count = recvmmsg(fd, messages, static_cast<unsigned>(slots), MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return Napi::Number::New(env, -errno);

  for (int i = 0; i < count; i++) {
    msghdr& header = messages[i].msg_hdr;
    int32_t* row = table + i * kFields;
    memset(row, 0, kFields * sizeof(*row));
    row[kLength] = static_cast<int32_t>(messages[i].msg_len);
    if (header.msg_flags & MSG_TRUNC) row[kFlags] |= kTruncated;
    if (header.msg_flags & MSG_CTRUNC) row[kFlags] |= kControlTruncated;
    row[kNameLength] = static_cast<int32_t>(header.msg_namelen);
    if (i > 0 && header.msg_namelen == messages[i - 1].msg_hdr.msg_namelen &&
        memcmp(header.msg_name, messages[i - 1].msg_hdr.msg_name, header.msg_namelen) == 0) {
      row[kFlags] |= kSameName;
    }
    if (header.msg_controllen > 0) ReadRow(header, arena, keep_fds, row);
  }
  return Napi::Number::New(env, count);
}

Napi::Value SendMessage(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  Napi::Uint8Array data = info[1].As<Napi::Uint8Array>();
  iovec part = {data.Data(), data.ByteLength()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  sockaddr_un address;
  if (!info[2].IsNull()) {
    Napi::Uint8Array path = info[2].As<Napi::Uint8Array>();
    const int length = WriteUnixAddress(path.Data(), path.ByteLength(), &address);
    if (length < 0) return Napi::Number::New(env, length);
    message.msg_name = &address;
    message.msg_namelen = static_cast<socklen_t>(length);
  }
  alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
  if (!info[3].IsNull()) {
    Napi::Int32Array fds = info[3].As<Napi::Int32Array>();
    const size_t size = fds.ByteLength();
    if (size > 253 * sizeof(int)) return Napi::Number::New(env, -EINVAL);  // SCM_MAX_FD, unix(7)
    memset(control, 0, sizeof(control));
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), fds.Data(), size);
  }
  return Napi::Number::New(env, static_cast<double>(Send(fd, &message)));
}

Napi::Value SendNetlink(const Napi::CallbackInfo& info) {
  Napi::Uint8Array data = info[1].As<Napi::Uint8Array>();
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_pid = info[2].As<Napi::Number>().Uint32Value();
  address.nl_groups = info[3].As<Napi::Number>().Uint32Value();
  iovec part = {data.Data(), data.ByteLength()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_name = &address;
  message.msg_namelen = sizeof(address);
  return Napi::Number::New(info.Env(), static_cast<double>(Send(info[0].As<Napi::Number>().Int32Value(), &message)));
}
