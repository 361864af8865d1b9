#include "accept-queue-answer.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <string.h>

void ReadTcpInfo(const void* bytes, size_t length, AcceptQueue* queue) {
  // tcp(7), inet_diag: in the LISTEN state the two counters are the queue and its limit.
  tcp_info info = {};
  if (length < offsetof(tcp_info, tcpi_sacked) + sizeof(info.tcpi_sacked)) return;
  memcpy(&info, bytes, length < sizeof(info) ? length : sizeof(info));
  queue->known = true;
  queue->backlog = info.tcpi_sacked;
  queue->queued = info.tcpi_unacked;
}

void ReadUnixDiag(const void* bytes, size_t length, AcceptQueue* queue, BoundInode* bound) {
  const nlmsghdr* header = static_cast<const nlmsghdr*>(bytes);
  if (length < sizeof(*header) || header->nlmsg_len > length) return;
  if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || header->nlmsg_len < NLMSG_LENGTH(sizeof(unix_diag_msg))) return;
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
