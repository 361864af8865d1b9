#include "facts.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "accept-queue.h"
#include "address.h"
#include "message-queue.h"
#include "socket-option.h"
#include "status.h"

namespace {

void SetAcceptQueue(Record out, const AcceptQueue& queue) {
  if (!queue.known) return;
  out.SetNumber("backlog", queue.backlog);
  out.SetNumber("queued", queue.queued);
}

// Returns 0, or -1 with errno.
int SetSocketFacts(int fd, uint64_t inode, Record out) {
  int domain, type, protocol, listening;
  if (!ReadOption(fd, SOL_SOCKET, SO_DOMAIN, &domain) || !ReadOption(fd, SOL_SOCKET, SO_TYPE, &type) ||
      !ReadOption(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) || !ReadOption(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening)) {
    return -1;
  }
  out.SetNumber("domain", domain);
  out.SetNumber("type", type);
  out.SetNumber("protocol", protocol);
  out.SetFlag("listening", listening != 0);

  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return -1;
  out.SetValue("local", AddressToJs(out.Env(), address, length));
  // A listener has no peer; ENOTCONN from the rest is an answer, not a failure.
  if (listening == 0) {
    address = {};
    length = sizeof(address);
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
      out.SetValue("peer", AddressToJs(out.Env(), address, length));
    }
  }
  const bool ip = domain == AF_INET || domain == AF_INET6;
  if (ip) {
    int value;
    if (ReadOption(fd, SOL_SOCKET, SO_REUSEPORT, &value)) out.SetFlag("reusePort", value != 0);
    if (domain == AF_INET6 && ReadOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value)) out.SetFlag("ipv6Only", value != 0);
  }
  if (listening != 0 && type == SOCK_STREAM && ip) SetAcceptQueue(out, TcpAcceptQueue(fd));
  if (domain == AF_UNIX && (listening != 0 || type == SOCK_DGRAM)) {
    AcceptQueue queue;
    BoundInode bound;
    UnixAcceptQueue(static_cast<uint32_t>(inode), &queue, &bound);
    if (listening != 0) SetAcceptQueue(out, queue);
    if (bound.known) {
      out.SetNumber("boundInode", bound.inode);
      out.SetNumber("boundDeviceMajor", bound.device_major);
      out.SetNumber("boundDeviceMinor", bound.device_minor);
    }
  }
  return 0;
}

void SetMessageQueueFacts(int fd, Record out) {
  MessageQueueAttributes attributes;
  if (ReadQueueAttributes(fd, &attributes) != 0) return;
  Record queue(out.Env());
  queue.SetNumber("maxMessages", attributes.max_messages);
  queue.SetNumber("messageSize", attributes.message_size);
  queue.SetNumber("messages", attributes.messages);
  out.SetValue("messageQueue", queue);
}

}  // namespace

Napi::Value Facts(Call& call) {
  const int fd = call.Fd();
  // F_GETFD first: statx(2) would take AT_FDCWD (-100) for a descriptor.
  const int descriptor_flags = fcntl(fd, F_GETFD);
  if (descriptor_flags < 0) return call.Result(-1);
  Status status = {};
  if (ReadStatus(fd, &status) != 0) return call.Result(-1);
  Record out(call.env);
  out.SetNumber("fd", fd);
  out.SetFlag("cloexec", (descriptor_flags & FD_CLOEXEC) != 0);
  out.SetNumber("mode", status.mode);
  out.SetNumber("inode", static_cast<double>(status.inode));
  out.SetNumber("deviceMajor", status.device_major);
  out.SetNumber("deviceMinor", status.device_minor);
  if (S_ISSOCK(status.mode)) return SetSocketFacts(fd, status.inode, out) == 0 ? out : call.Result(-1);
  // Only the non-sockets need to know how they were opened (Writable= of ListenSpecial=).
  const int status_flags = fcntl(fd, F_GETFL);
  if (status_flags < 0) return call.Result(-1);
  // Not O_ACCMODE, in which musl has O_PATH as well.
  const int access = status_flags & (O_WRONLY | O_RDWR);
  out.SetFlag("readable", access != O_WRONLY);
  out.SetFlag("writable", access != O_RDONLY);
  if (S_ISREG(status.mode)) SetMessageQueueFacts(fd, out);
  return out;
}
