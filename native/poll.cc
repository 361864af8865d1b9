#include "poll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "instance.h"
#include "libuv.h"
#include "socket-option.h"

namespace {

constexpr int kPollError = 128;

// What tells our objects from all others.
constexpr napi_type_tag kTag = {0x6c697374656e6664, 0x732e706f6c6c0001};

struct Poll {
  napi_env env;
  uv_poll_t* handle;
  int fd;
  int wanted;
  // Two hold this struct: the handle until libuv has let go of it, and the object until it is collected.
  int holders;
  bool closing;
  napi_ref callback;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
};

void Release(Poll* poll) {
  poll->holders -= 1;
  if (poll->holders == 0) free(poll);
}

void OnClosed(uv_handle_t* handle) {
  Poll* poll = static_cast<Poll*>(handle->data);
  free(handle);
  // The environment waits for this before it goes on ending.
  if (poll->hook != nullptr) napi_remove_async_cleanup_hook(poll->hook);
  Release(poll);
}

// A unix socket takes its unread queue along: descriptors, or connections with descriptors.
void CloseDescriptor(Closer* closer, int fd) {
  int domain, type, listening;
  if (!ReadOption(fd, SOL_SOCKET, SO_DOMAIN, &domain) || domain != AF_UNIX) {
    close(fd);
  } else if (ReadOption(fd, SOL_SOCKET, SO_TYPE, &type) && ReadOption(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening) &&
             (type == SOCK_DGRAM || listening != 0)) {
    closer->CloseSoon(fd);
  } else {
    closer->Close(fd);
  }
}

void Close(Poll* poll) {
  if (poll->closing) return;
  poll->closing = true;
  uv_close(poll->handle, OnClosed);
  // uv_close() has taken it out of the epoll set by now.
  CloseDescriptor(&Instance::Of(poll->env)->closer, poll->fd);
}

void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) { Close(static_cast<Poll*>(data)); }

void OnCollected(napi_env, void* data, void*) {
  Poll* poll = static_cast<Poll*>(data);
  Close(poll);
  Release(poll);
}

void OnEvents(uv_poll_t* handle, int status, int events) {
  Poll* poll = static_cast<Poll*>(handle->data);
  napi_env env = poll->env;
  Napi::HandleScope scope(env);
  napi_value callback;
  // libuv reports EPOLLERR as UV_EBADF and stops; the next system call on the descriptor tells the error.
  if (status < 0) events = poll->wanted | kPollError;
  napi_get_reference_value(env, poll->callback, &callback);
  napi_value argument = Napi::Number::New(env, events);
  const napi_status result =
      napi_make_callback(env, poll->context, Napi::Env(env).Global(), callback, 1, &argument, nullptr);
  if (result == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
}

// Null if the object is not one of ours.
Poll* PollOf(Call& call) {
  Napi::Object object = call[0].value.As<Napi::Object>();
  void* poll = nullptr;
  if (object.CheckTypeTag(&kTag)) napi_unwrap(call.env, object, &poll);
  if (poll == nullptr) ThrowTypeError(call.env, "argument 1 must be a poll, as createPoll() returns it");
  return static_cast<Poll*>(poll);
}

Napi::Value Wrap(Poll* poll) {
  Napi::Object object = Napi::Object::New(poll->env);
  object.TypeTag(&kTag);
  napi_wrap(poll->env, object, poll, OnCollected, nullptr, nullptr);
  return object;
}

}  // namespace

Napi::Value CreatePoll(Call& call) {
  napi_env env = call.env;
  const int fd = call.Fd();
  uv_loop_t* loop = nullptr;
  if (uv_poll_init == nullptr || napi_get_uv_event_loop == nullptr || napi_get_uv_event_loop(env, &loop) != napi_ok)
    return call.Number(-ENOSYS);
  // Its size is libuv's to know: the one this runs with may be newer than the header.
  uv_poll_t* handle = static_cast<uv_poll_t*>(calloc(1, uv_handle_size(UV_POLL)));
  Poll* poll = static_cast<Poll*>(calloc(1, sizeof(Poll)));
  const int error = handle != nullptr && poll != nullptr ? uv_poll_init(loop, handle, fd) : -ENOMEM;
  if (error != 0) {
    free(handle);
    free(poll);
    return call.Number(error);
  }
  *poll = {env, handle, fd, 0, 2, false, nullptr, nullptr, nullptr};
  handle->data = poll;
  napi_create_reference(env, call[1].value, 1, &poll->callback);
  napi_async_init(env, nullptr, Napi::String::New(env, "listenfds.poll"), &poll->context);
  napi_add_async_cleanup_hook(env, OnEnvironmentEnd, poll, &poll->hook);
  return Wrap(poll);
}

Napi::Value StartPoll(Call& call) {
  Poll* poll = PollOf(call);
  if (poll == nullptr) return Napi::Value();
  constexpr int kEvents = UV_READABLE | UV_WRITABLE | UV_DISCONNECT | UV_PRIORITIZED;
  const int wanted = call.Int(1);
  if ((wanted & ~kEvents) != 0) return call.Number(-EINVAL);
  if (poll->closing) return call.Number(-EBADF);
  // libuv ends the process if epoll does not know the descriptor.
  if (fcntl(poll->fd, F_GETFD) < 0) return call.Result(-1);
  poll->wanted = wanted;
  return call.Number(wanted == 0 ? uv_poll_stop(poll->handle) : uv_poll_start(poll->handle, wanted, OnEvents));
}

Napi::Value RefPoll(Call& call) {
  Poll* poll = PollOf(call);
  if (poll == nullptr) return Napi::Value();
  if (poll->closing) return call.env.Undefined();
  uv_handle_t* handle = poll->handle;
  if (call.Flag(1)) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
  return call.env.Undefined();
}

Napi::Value ClosePoll(Call& call) {
  Poll* poll = PollOf(call);
  if (poll == nullptr) return Napi::Value();
  if (!poll->closing) {
    Close(poll);
    napi_delete_reference(poll->env, poll->callback);
    napi_async_destroy(poll->env, poll->context);
  }
  return call.env.Undefined();
}
