#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "address.h"
#include "listener.h"

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446
#endif

namespace {

// The kernel's layout; <mqueue.h> would bring in mq_getattr, which raises the glibc floor to 2.34.
struct MessageQueueAttributes {
  __kernel_long_t flags;
  __kernel_long_t max_messages;
  __kernel_long_t message_size;
  __kernel_long_t messages;
  __kernel_long_t reserved[4];
};

bool Option(int fd, int level, int name, int* value) {
  socklen_t length = sizeof(*value);
  return getsockopt(fd, level, name, value, &length) == 0;
}

void SetNumber(Napi::Object out, const char* key, double value) { out.Set(key, Napi::Number::New(out.Env(), value)); }
void SetFlag(Napi::Object out, const char* key, bool value) { out.Set(key, Napi::Boolean::New(out.Env(), value)); }

void SetQueue(Napi::Object out, const Queue& queue) {
  if (!queue.known) return;
  SetNumber(out, "backlog", queue.backlog);
  SetNumber(out, "queued", queue.queued);
}

// Returns 0 or an errno.
int SetSocketFacts(int fd, const struct statx& status, Napi::Object out) {
  Napi::Env env = out.Env();
  int domain, type, protocol, listening;
  if (!Option(fd, SOL_SOCKET, SO_DOMAIN, &domain) || !Option(fd, SOL_SOCKET, SO_TYPE, &type) ||
      !Option(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) || !Option(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening)) {
    return errno;
  }
  SetNumber(out, "domain", domain);
  SetNumber(out, "type", type);
  SetNumber(out, "protocol", protocol);
  SetFlag(out, "listening", listening != 0);

  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return errno;
  out.Set("local", AddressToJs(env, address, length));
  // A listener has no peer; ENOTCONN from the rest is an answer, not a failure.
  if (listening == 0) {
    address = {};
    length = sizeof(address);
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
      out.Set("peer", AddressToJs(env, address, length));
    }
  }
  if (domain == AF_INET || domain == AF_INET6) {
    int value;
    if (Option(fd, SOL_SOCKET, SO_REUSEPORT, &value)) SetFlag(out, "reusePort", value != 0);
    if (domain == AF_INET6 && Option(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value)) SetFlag(out, "ipv6Only", value != 0);
  }
  if (listening != 0 && type == SOCK_STREAM && (domain == AF_INET || domain == AF_INET6)) SetQueue(out, TcpQueue(fd));
  if (domain == AF_UNIX && (listening != 0 || type == SOCK_DGRAM)) {
    Queue queue;
    BoundInode bound;
    UnixQueue(static_cast<uint32_t>(status.stx_ino), &queue, &bound);
    if (listening != 0) SetQueue(out, queue);
    if (bound.known) {
      SetNumber(out, "boundInode", bound.inode);
      SetNumber(out, "boundDeviceMajor", bound.device_major);
      SetNumber(out, "boundDeviceMinor", bound.device_minor);
    }
  }
  return 0;
}

void SetMessageQueueFacts(int fd, Napi::Object out) {
  MessageQueueAttributes attributes = {};
  if (syscall(SYS_mq_getsetattr, fd, nullptr, &attributes) != 0) return;
  Napi::Object queue = Napi::Object::New(out.Env());
  SetNumber(queue, "maxMessages", attributes.max_messages);
  SetNumber(queue, "messageSize", attributes.message_size);
  SetNumber(queue, "messages", attributes.messages);
  out.Set("messageQueue", queue);
}

}  // namespace

Napi::Value Facts(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  // F_GETFD first: statx(2) would take AT_FDCWD (-100) for a descriptor.
  const int descriptor_flags = fcntl(fd, F_GETFD);
  if (descriptor_flags < 0) return Napi::Number::New(env, -errno);
  struct statx status = {};
  if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_MODE | STATX_INO | STATX_UID | STATX_GID,
            &status) != 0) {
    return Napi::Number::New(env, -errno);
  }
  Napi::Object out = Napi::Object::New(env);
  SetNumber(out, "fd", fd);
  SetFlag(out, "cloexec", (descriptor_flags & FD_CLOEXEC) != 0);
  SetNumber(out, "mode", status.stx_mode);
  SetNumber(out, "inode", static_cast<double>(status.stx_ino));
  SetNumber(out, "deviceMajor", status.stx_dev_major);
  SetNumber(out, "deviceMinor", status.stx_dev_minor);
  if (S_ISSOCK(status.stx_mode)) {
    const int error = SetSocketFacts(fd, status, out);
    if (error != 0) return Napi::Number::New(env, -error);
    return out;
  }
  // Only the non-sockets need to know how they were opened (Writable= of ListenSpecial=).
  const int status_flags = fcntl(fd, F_GETFL);
  if (status_flags < 0) return Napi::Number::New(env, -errno);
  SetFlag(out, "readable", (status_flags & O_ACCMODE) != O_WRONLY);
  SetFlag(out, "writable", (status_flags & O_ACCMODE) != O_RDONLY);
  if (S_ISREG(status.stx_mode)) SetMessageQueueFacts(fd, out);
  return out;
}

Napi::Value SetCloexec(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const bool on = info[1].As<Napi::Boolean>().Value();
  // FD_CLOEXEC is the only descriptor flag there is, so nothing is lost by not reading it first.
  return Napi::Number::New(info.Env(), fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) == 0 ? 0 : -errno);
}

Napi::Value Duplicate(const Napi::CallbackInfo& info) {
  const int result = fcntl(info[0].As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 3);
  return Napi::Number::New(info.Env(), result < 0 ? -errno : result);
}

Napi::Value SetBacklog(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const int result = listen(fd, info[1].As<Napi::Number>().Int32Value());
  return Napi::Number::New(info.Env(), result < 0 ? -errno : 0);
}

Napi::Value PidfdInode(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, info[0].As<Napi::Number>().Int32Value(), 0));
  if (fd < 0) return Napi::Number::New(env, -errno);
  struct statfs file_system = {};
  struct statx status = {};
  int error = 0;
  if (fstatfs(fd, &file_system) != 0) {
    error = errno;
  } else if (file_system.f_type != PID_FS_MAGIC) {
    error = EOPNOTSUPP;  // before Linux 6.9 every pidfd shares one anonymous inode
  } else if (statx(fd, "", AT_EMPTY_PATH, STATX_INO, &status) != 0) {
    error = errno;
  }
  close(fd);
  if (error != 0) return Napi::Number::New(env, -error);
  return Napi::BigInt::New(env, static_cast<uint64_t>(status.stx_ino));
}

// gettid(2); glibc has the function since 2.30 only.
Napi::Value ThreadId(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(syscall(SYS_gettid)));
}

Napi::Value DetachStdin(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int null_device = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null_device < 0) return Napi::Number::New(env, -errno);
  const int moved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  int error = moved < 0 ? errno : 0;
  // dup2 leaves FD_CLOEXEC off, as it must be for a standard descriptor.
  if (error == 0 && dup2(null_device, STDIN_FILENO) < 0) {
    error = errno;
    close(moved);
  }
  close(null_device);
  return Napi::Number::New(env, error == 0 ? moved : -error);
}
