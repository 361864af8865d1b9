#include "mqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

namespace {

// The kernel's layout of struct mq_attr.
struct Attributes {
  __kernel_long_t flags;
  __kernel_long_t max_messages;
  __kernel_long_t message_size;
  __kernel_long_t messages;
  __kernel_long_t reserved[4];
};

int Fd(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Int32Value(); }

Napi::Value Result(const Napi::CallbackInfo& info, long result) {
  return Napi::Number::New(info.Env(), static_cast<double>(result < 0 ? -errno : result));
}

}  // namespace

Napi::Value OpenQueue(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  Attributes attributes = {};
  attributes.max_messages = info[2].As<Napi::Number>().Int64Value();
  attributes.message_size = info[3].As<Napi::Number>().Int64Value();
  const bool defaults = attributes.max_messages == 0 && attributes.message_size == 0;
  // The system call takes the name without its slash.
  return Result(info, syscall(SYS_mq_open, name.c_str() + 1, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC,
                              info[1].As<Napi::Number>().Uint32Value(), defaults ? nullptr : &attributes));
}

Napi::Value UnlinkQueue(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  return Result(info, syscall(SYS_mq_unlink, name.c_str() + 1));
}

Napi::Value SendToQueue(const Napi::CallbackInfo& info) {
  Napi::Uint8Array data = info[1].As<Napi::Uint8Array>();
  const uint32_t priority = info[2].As<Napi::Number>().Uint32Value();
  long result;
  do {
    result = syscall(SYS_mq_timedsend, Fd(info), data.Data(), data.ByteLength(), priority, nullptr);
  } while (result < 0 && errno == EINTR);
  return Result(info, result);
}

Napi::Value ReceiveFromQueue(const Napi::CallbackInfo& info) {
  Napi::Uint8Array buffer = info[1].As<Napi::Uint8Array>();
  uint32_t* priority = info[2].As<Napi::Uint32Array>().Data();
  long result;
  do {
    result = syscall(SYS_mq_timedreceive, Fd(info), buffer.Data(), buffer.ByteLength(), priority, nullptr);
  } while (result < 0 && errno == EINTR);
  return Result(info, result);
}
