// What the addon takes from libuv, which every Node.js has in it. Declared here, so that the headers of Node-API are
// all that it takes to build the addon: libuv keeps its ABI throughout version 1, and test/package/prebuild.test.ts
// compares.
#ifndef LISTENFDS_NATIVE_LIBUV_H_
#define LISTENFDS_NATIVE_LIBUV_H_

#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {

typedef struct uv_loop_s uv_loop_t;

// Every handle begins with it; how long one is, uv_handle_size() says.
typedef struct uv_handle_s {
  void* data;
} uv_handle_t;
typedef struct uv_handle_s uv_poll_t;

constexpr int UV_POLL = 8;
constexpr int UV_READABLE = 1;
constexpr int UV_WRITABLE = 2;
constexpr int UV_DISCONNECT = 4;
constexpr int UV_PRIORITIZED = 8;

size_t uv_handle_size(int type);
int uv_poll_init(uv_loop_t* loop, uv_poll_t* handle, int fd);
int uv_poll_start(uv_poll_t* handle, int events, void (*callback)(uv_poll_t* handle, int status, int events));
int uv_poll_stop(uv_poll_t* handle);
void uv_close(uv_handle_t* handle, void (*callback)(uv_handle_t* handle));
void uv_ref(uv_handle_t* handle);
void uv_unref(uv_handle_t* handle);

typedef uintptr_t uv_thread_t;  // pthread_t
typedef struct {
  unsigned flags;
  size_t stack_size;
} uv_thread_options_t;

constexpr unsigned UV_THREAD_HAS_STACK_SIZE = 1;

int uv_thread_create_ex(uv_thread_t* thread, const uv_thread_options_t* options, void (*entry)(void* argument),
                        void* argument);

// Weak: the addon also loads into a runtime that has Node-API but no libuv.
#pragma weak uv_handle_size
#pragma weak uv_poll_init
#pragma weak uv_poll_start
#pragma weak uv_poll_stop
#pragma weak uv_close
#pragma weak uv_ref
#pragma weak uv_unref
#pragma weak uv_thread_create_ex
#pragma weak napi_get_uv_event_loop

}  // extern "C"

#endif  // LISTENFDS_NATIVE_LIBUV_H_
