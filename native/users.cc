#include "users.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

namespace {

// getpwnam_r(3) and getgrnam_r(3) want a buffer of a size nobody knows; a group with many members needs more.
constexpr size_t kFirstBytes = 1024;
constexpr size_t kMostBytes = 16 << 20;

template <typename Entry, typename Lookup, typename Id>
Napi::Value Resolve(Call& call, Lookup lookup, Id id) {
  for (size_t size = kFirstBytes;;) {
    char* buffer = static_cast<char*>(call.memory.Get(size));
    if (buffer == nullptr) return call.Number(-ENOMEM);
    Entry entry;
    Entry* found = nullptr;
    const int error = lookup(call.Name(0), &entry, buffer, size, &found);
    if (found != nullptr) return call.Number(id(*found));
    if (error == EINTR) continue;
    if (error == ERANGE && size < kMostBytes) {
      size *= 4;
      continue;
    }
    // "Not found" comes as 0 or as one of several errors, depending on the nss module: getpwnam(3).
    if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM) return call.env.Null();
    return call.Number(-error);
  }
}

}  // namespace

Napi::Value UserId(Call& call) {
  return Resolve<passwd>(call, getpwnam_r, [](const passwd& entry) { return entry.pw_uid; });
}

Napi::Value GroupId(Call& call) {
  return Resolve<group>(call, getgrnam_r, [](const group& entry) { return entry.gr_gid; });
}
