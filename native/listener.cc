#include "listener.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

Queue TcpQueue(int fd) {
  // tcp(7), inet_diag: in the LISTEN state the two counters are the queue and its limit.
  tcp_info info = {};
  socklen_t length = sizeof(info);
  Queue queue;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0) {
    queue.known = true;
    queue.backlog = info.tcpi_sacked;
    queue.queued = info.tcpi_unacked;
  }
  return queue;
}

namespace {

struct DiagRequest {
  nlmsghdr header;
  unix_diag_req body;
};

void ReadAttributes(const nlmsghdr* header, Queue* queue, BoundInode* bound) {
  if (header->nlmsg_len < NLMSG_LENGTH(sizeof(unix_diag_msg))) return;
  const unix_diag_msg* message = static_cast<const unix_diag_msg*>(NLMSG_DATA(header));
  int left = static_cast<int>(header->nlmsg_len - NLMSG_LENGTH(sizeof(*message)));
  const rtattr* attribute = reinterpret_cast<const rtattr*>(message + 1);
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type == UNIX_DIAG_RQLEN && RTA_PAYLOAD(attribute) >= sizeof(unix_diag_rqlen)) {
      unix_diag_rqlen lengths;
      memcpy(&lengths, RTA_DATA(attribute), sizeof(lengths));
      queue->known = true;
      queue->queued = lengths.udiag_rqueue;
      queue->backlog = lengths.udiag_wqueue;
    } else if (attribute->rta_type == UNIX_DIAG_VFS && RTA_PAYLOAD(attribute) >= sizeof(unix_diag_vfs)) {
      unix_diag_vfs vfs;
      memcpy(&vfs, RTA_DATA(attribute), sizeof(vfs));
      bound->known = true;
      bound->inode = vfs.udiag_vfs_ino;
      // The kernel's own dev_t: 12 bits of major over 20 of minor.
      bound->device_major = vfs.udiag_vfs_dev >> 20;
      bound->device_minor = vfs.udiag_vfs_dev & 0xfffff;
    }
  }
}

}  // namespace

void UnixQueue(uint32_t socket_inode, Queue* queue, BoundInode* bound) {
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
  if (size < static_cast<ssize_t>(sizeof(nlmsghdr))) return;
  const nlmsghdr* header = reinterpret_cast<const nlmsghdr*>(answer);
  if (!NLMSG_OK(header, static_cast<uint32_t>(size)) || header->nlmsg_type != SOCK_DIAG_BY_FAMILY) return;
  ReadAttributes(header, queue, bound);
}
