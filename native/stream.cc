#include "stream.h"

#include <errno.h>
#include <unistd.h>

namespace {

int Fd(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Int32Value(); }

Napi::Value Result(const Napi::CallbackInfo& info, ssize_t result) {
  return Napi::Number::New(info.Env(), static_cast<double>(result < 0 ? -errno : result));
}

}  // namespace

Napi::Value ReadBytes(const Napi::CallbackInfo& info) {
  Napi::Uint8Array buffer = info[1].As<Napi::Uint8Array>();
  ssize_t size;
  do {
    size = read(Fd(info), buffer.Data(), buffer.ByteLength());
  } while (size < 0 && errno == EINTR);
  return Result(info, size);
}

Napi::Value WriteBytes(const Napi::CallbackInfo& info) {
  Napi::Uint8Array data = info[1].As<Napi::Uint8Array>();
  ssize_t size;
  do {
    size = write(Fd(info), data.Data(), data.ByteLength());
  } while (size < 0 && errno == EINTR);
  return Result(info, size);
}

// close(2): not again after EINTR, Linux has let go of the number by then.
Napi::Value CloseFd(const Napi::CallbackInfo& info) { return Result(info, close(Fd(info))); }

Napi::Value ReplaceFd(const Napi::CallbackInfo& info) {
  return Result(info, dup2(Fd(info), info[1].As<Napi::Number>().Int32Value()) < 0 ? -1 : 0);
}
