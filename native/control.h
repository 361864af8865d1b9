// What travels beside a message: descriptors, credentials, label, timestamps, cmsg(3). No Node-API and no system calls,
// so that test/fuzz can run it.
#ifndef LISTENFDS_NATIVE_CONTROL_H_
#define LISTENFDS_NATIVE_CONTROL_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct ControlData {
  // SCM_RIGHTS: `fd_count` numbers, which need not be aligned.
  const unsigned char* fds = nullptr;
  size_t fd_count = 0;
  // SCM_PIDFD, likewise.
  const unsigned char* pidfds = nullptr;
  size_t pidfd_count = 0;
  bool has_credentials = false;
  ucred credentials = {0, 0, 0};
  const char* label = nullptr;
  size_t label_size = 0;
  bool has_timestamp = false;
  int64_t seconds = 0;
  int32_t nanoseconds = 0;
  bool has_group = false;  // NETLINK_PKTINFO
  int32_t group = 0;
};

// Reads the control data of `message`, which is left as it is; the pointers lead into it. One that was cut off
// (MSG_CTRUNC) counts as absent, except for whole descriptors, which are open and must be closed by somebody.
ControlData ReadControl(const msghdr& message);

#endif  // LISTENFDS_NATIVE_CONTROL_H_
