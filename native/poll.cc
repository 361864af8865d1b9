#include "poll.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

// Weak: the addon also loads into a runtime that has Node-API but no libuv; there createPoll() says so.
#pragma weak uv_poll_init
#pragma weak uv_poll_start
#pragma weak uv_poll_stop
#pragma weak uv_handle_size
#pragma weak uv_close
#pragma weak uv_ref
#pragma weak uv_unref
#pragma weak napi_get_uv_event_loop

namespace {

constexpr int kPollError = 128;

struct Poll {
  napi_env env;
  uv_poll_t* handle;
  int fd;
  int wanted = 0;
  // Two hold this struct: the handle until libuv has let go of it, and the external until it is collected.
  int holders = 2;
  bool closing = false;
  napi_ref callback = nullptr;
  napi_async_context context = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
};

void Release(Poll* poll) {
  poll->holders -= 1;
  if (poll->holders == 0) delete poll;
}

void OnClosed(uv_handle_t* handle) {
  Poll* poll = static_cast<Poll*>(handle->data);
  free(handle);
  // The environment waits for this before it goes on ending.
  if (poll->hook != nullptr) napi_remove_async_cleanup_hook(poll->hook);
  Release(poll);
}

void Close(Poll* poll) {
  if (poll->closing) return;
  poll->closing = true;
  uv_close(reinterpret_cast<uv_handle_t*>(poll->handle), OnClosed);
  close(poll->fd);  // uv_close() has taken it out of the epoll set by now
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
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, receiver, argument;
  // libuv reports EPOLLERR as UV_EBADF and stops; what the error is, the next system call on the descriptor tells.
  if (status < 0) events = poll->wanted | kPollError;
  napi_get_reference_value(env, poll->callback, &callback);
  napi_get_global(env, &receiver);
  napi_create_int32(env, events, &argument);
  const napi_status result = napi_make_callback(env, poll->context, receiver, callback, 1, &argument, nullptr);
  if (result == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

Poll* PollOf(const Napi::CallbackInfo& info) { return info[0].As<Napi::External<Poll>>().Data(); }

}  // namespace

Napi::Value CreatePoll(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  uv_loop_t* loop = nullptr;
  if (uv_poll_init == nullptr || napi_get_uv_event_loop == nullptr || napi_get_uv_event_loop(env, &loop) != napi_ok)
    return Napi::Number::New(env, -ENOSYS);
  // Its size is libuv's to know: the one this runs with may be newer than the header.
  uv_poll_t* handle = static_cast<uv_poll_t*>(calloc(1, uv_handle_size(UV_POLL)));
  if (handle == nullptr) return Napi::Number::New(env, -ENOMEM);
  const int error = uv_poll_init(loop, handle, fd);
  if (error != 0) {
    free(handle);
    return Napi::Number::New(env, error);
  }
  Poll* poll = new Poll();
  poll->env = env;
  poll->handle = handle;
  poll->fd = fd;
  handle->data = poll;
  napi_create_reference(env, info[1], 1, &poll->callback);
  napi_async_init(env, nullptr, Napi::String::New(env, "listenfds.poll"), &poll->context);
  napi_add_async_cleanup_hook(env, OnEnvironmentEnd, poll, &poll->hook);
  napi_value external;
  napi_create_external(env, poll, OnCollected, nullptr, &external);
  return Napi::Value(env, external);
}

Napi::Value StartPoll(const Napi::CallbackInfo& info) {
  Poll* poll = PollOf(info);
  if (poll->closing) return Napi::Number::New(info.Env(), -EBADF);
  poll->wanted = info[1].As<Napi::Number>().Int32Value();
  const int result =
      poll->wanted == 0 ? uv_poll_stop(poll->handle) : uv_poll_start(poll->handle, poll->wanted, OnEvents);
  return Napi::Number::New(info.Env(), result);
}

Napi::Value RefPoll(const Napi::CallbackInfo& info) {
  Poll* poll = PollOf(info);
  uv_handle_t* handle = reinterpret_cast<uv_handle_t*>(poll->handle);
  if (poll->closing) return info.Env().Undefined();
  if (info[1].As<Napi::Boolean>().Value()) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
  return info.Env().Undefined();
}

Napi::Value ClosePoll(const Napi::CallbackInfo& info) {
  Poll* poll = PollOf(info);
  if (!poll->closing) {
    Close(poll);
    napi_delete_reference(poll->env, poll->callback);
    napi_async_destroy(poll->env, poll->context);
  }
  return info.Env().Undefined();
}
