#include "control.h"

#include <linux/netlink.h>
#include <string.h>
#include <time.h>

#ifndef SCM_SECURITY
#define SCM_SECURITY 0x03
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

namespace {

// False if the kernel had no room for all of it.
template <typename Value>
bool Read(const unsigned char* data, size_t size, Value* out) {
  if (size < sizeof(*out)) return false;
  memcpy(out, data, sizeof(*out));
  return true;
}

void ReadTimestamp(int type, const unsigned char* data, size_t size, ControlData* out) {
  // timeval and timespec differ in the unit of the second number only.
  timespec stamp;
  if (!Read(data, size, &stamp)) return;
  out->has_timestamp = true;
  out->seconds = stamp.tv_sec;
  const uint64_t fraction = static_cast<uint64_t>(stamp.tv_nsec);
  out->nanoseconds = static_cast<int32_t>(type == SO_TIMESTAMP ? fraction * 1000 : fraction);
}

}  // namespace

ControlData ReadControl(const msghdr& message) {
  ControlData out;
  const unsigned char* begin = static_cast<const unsigned char*>(message.msg_control);
  size_t at = 0;
  // By hand: the checks of CMSG_NXTHDR differ between C libraries, and it takes no pointer to const.
  while (message.msg_controllen - at >= sizeof(cmsghdr)) {
    cmsghdr header;
    memcpy(&header, begin + at, sizeof(header));
    const size_t left = message.msg_controllen - at;
    if (header.cmsg_len < CMSG_LEN(0) || header.cmsg_len > left) break;
    const unsigned char* data = begin + at + CMSG_LEN(0);
    const size_t size = header.cmsg_len - CMSG_LEN(0);
    if (header.cmsg_level == SOL_NETLINK && header.cmsg_type == NETLINK_PKTINFO) {
      out.has_group = Read(data, size, &out.group);
    } else if (header.cmsg_level == SOL_SOCKET) {
      switch (header.cmsg_type) {
        case SCM_RIGHTS:
          out.fds = data;
          out.fd_count = size / sizeof(int);
          break;
        case SCM_PIDFD:
          out.pidfds = data;
          out.pidfd_count = size / sizeof(int);
          break;
        case SCM_CREDENTIALS:
          out.has_credentials = Read(data, size, &out.credentials);
          break;
        case SCM_SECURITY:
          out.label = reinterpret_cast<const char*>(data);
          out.label_size = strnlen(out.label, size);
          break;
        case SO_TIMESTAMP:
        case SO_TIMESTAMPNS:
          ReadTimestamp(header.cmsg_type, data, size, &out);
          break;
      }
    }
    const size_t whole = CMSG_ALIGN(header.cmsg_len);
    at += whole < left ? whole : left;
  }
  return out;
}
