// Whatever bytes stand where control messages should be: what comes out lies within them.
#include "control.h"

#include <stdint.h>
#include <string.h>

#include "check.h"

namespace {

bool Within(const Exact& bytes, const void* begin, size_t size) {
  const auto* first = static_cast<const unsigned char*>(bytes.data());
  const auto* at = static_cast<const unsigned char*>(begin);
  return at >= first && at <= first + bytes.size() && size <= static_cast<size_t>(first + bytes.size() - at);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Exact bytes(data, size);
  msghdr message = {};
  message.msg_control = bytes.data();
  message.msg_controllen = size;
  const ControlData control = ReadControl(message);
  if (control.fds != nullptr) CHECK(Within(bytes, control.fds, control.fd_count * sizeof(int)));
  if (control.fds == nullptr) CHECK(control.fd_count == 0);
  if (control.pidfds != nullptr) CHECK(Within(bytes, control.pidfds, control.pidfd_count * sizeof(int)));
  if (control.pidfds == nullptr) CHECK(control.pidfd_count == 0);
  if (control.label != nullptr) {
    CHECK(Within(bytes, control.label, control.label_size));
    CHECK(memchr(control.label, '\0', control.label_size) == nullptr);
  }
  // What the C library's macros walk over is found as well.
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    const size_t left =
        static_cast<size_t>(static_cast<uint8_t*>(bytes.data()) + size - reinterpret_cast<uint8_t*>(one));
    if (one->cmsg_len < CMSG_LEN(0) || one->cmsg_len > left) break;
    if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SCM_RIGHTS) CHECK(control.fds != nullptr);
  }
  return 0;
}
