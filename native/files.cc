#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

namespace {

// getpwnam_r(3) and getgrnam_r(3) want a buffer of a size nobody knows; a group with many members needs more.
constexpr size_t kMostNssBytes = 16 << 20;

template <typename Entry, typename Lookup, typename Id>
Napi::Value Resolve(const Napi::CallbackInfo& info, Lookup lookup, Id id) {
  Napi::Env env = info.Env();
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  std::vector<char> buffer(1024);
  for (;;) {
    Entry entry;
    Entry* found = nullptr;
    const int error = lookup(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found != nullptr) return Napi::Number::New(env, id(*found));
    if (error == EINTR) continue;
    if (error == ERANGE && buffer.size() < kMostNssBytes) {
      buffer.resize(buffer.size() * 4);
      continue;
    }
    // "Not found" comes as 0 or as one of several errors, depending on the nss module: getpwnam(3).
    if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM) return env.Null();
    return Napi::Number::New(env, -error);
  }
}

}  // namespace

Napi::Value ExchangePaths(const Napi::CallbackInfo& info) {
  const std::string a = info[0].As<Napi::String>().Utf8Value();
  const std::string b = info[1].As<Napi::String>().Utf8Value();
  const long result = syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
  return Napi::Number::New(info.Env(), result == 0 ? 0 : -errno);
}

Napi::Value MakeFifo(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  const mode_t mode = info[1].As<Napi::Number>().Uint32Value();
  return Napi::Number::New(info.Env(), mkfifo(path.c_str(), mode) == 0 ? 0 : -errno);
}

Napi::Value UserId(const Napi::CallbackInfo& info) {
  return Resolve<passwd>(info, getpwnam_r, [](const passwd& entry) { return entry.pw_uid; });
}

Napi::Value GroupId(const Napi::CallbackInfo& info) {
  return Resolve<group>(info, getgrnam_r, [](const group& entry) { return entry.gr_gid; });
}
