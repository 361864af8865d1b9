#include "accept-queue.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

AcceptQueue TcpAcceptQueue(int fd) {
  tcp_info info = {};
  socklen_t length = sizeof(info);
  AcceptQueue queue;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0) ReadTcpInfo(&info, length, &queue);
  return queue;
}

namespace {

struct DiagRequest {
  nlmsghdr header;
  unix_diag_req body;
};

}  // namespace

void UnixAcceptQueue(uint32_t socket_inode, AcceptQueue* queue, BoundInode* bound) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return;
  DiagRequest request = {};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.body.sdiag_family = AF_UNIX;
  request.body.udiag_states = ~0u;
  request.body.udiag_ino = socket_inode;
  request.body.udiag_show = UDIAG_SHOW_RQLEN | UDIAG_SHOW_VFS;
  memset(request.body.udiag_cookie, 0xff, sizeof(request.body.udiag_cookie));  // any cookie
  // The answer is queued by the kernel before send(2) returns, so this never waits.
  alignas(nlmsghdr) char answer[1024];
  ssize_t size = -1;
  if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(request))) {
    size = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
  }
  close(fd);
  if (size > 0) ReadUnixDiag(answer, static_cast<size_t>(size), queue, bound);
}
