// The part of node-addon-api's C++ for Node-API that is used here, by the same names: thin handles, no exceptions. A
// value of another type than asked for reads as zero or nothing, and throws a TypeError when the call returns.
//
// The package brings it along so that a compiler and the headers of Node.js are all it takes to build the addon where
// it is installed; and the addon is a third of the size.
#pragma once
#include <node_api.h>
#include <stdint.h>

#include <string>
#include <type_traits>

namespace Napi {

class Env {
 public:
  Env(napi_env env) : env_(env) {}
  operator napi_env() const { return env_; }
  inline class Value Null() const;
  inline class Value Undefined() const;

 private:
  napi_env env_;
};

/** Turns a failed call into a JavaScript exception, unless one is on its way already. */
inline bool Check(napi_env env, napi_status status) {
  if (status == napi_ok) return true;
  const napi_extended_error_info* info = nullptr;
  napi_get_last_error_info(env, &info);
  const char* message = info == nullptr || info->error_message == nullptr ? "Node-API failed" : info->error_message;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) napi_throw_type_error(env, nullptr, message);
  return false;
}

class Value {
 public:
  Value() = default;
  Value(napi_env env, napi_value value) : env_(env), value_(value) {}
  operator napi_value() const { return value_; }
  Napi::Env Env() const { return env_; }
  bool IsNull() const { return Type() == napi_null; }
  bool IsUndefined() const { return Type() == napi_undefined; }
  bool IsArray() const {
    bool is = false;
    napi_is_array(env_, value_, &is);
    return is;
  }
  template <typename T>
  T As() const {
    return T(env_, value_);
  }

 protected:
  napi_valuetype Type() const {
    napi_valuetype type = napi_undefined;
    Check(env_, napi_typeof(env_, value_, &type));
    return type;
  }

  napi_env env_ = nullptr;
  napi_value value_ = nullptr;
};

inline Value Env::Null() const {
  napi_value value = nullptr;
  Check(env_, napi_get_null(env_, &value));
  return Value(env_, value);
}

inline Value Env::Undefined() const {
  napi_value value = nullptr;
  Check(env_, napi_get_undefined(env_, &value));
  return Value(env_, value);
}

class Boolean : public Value {
 public:
  using Napi::Value::Value;
  static Boolean New(napi_env env, bool from) {
    napi_value value = nullptr;
    Check(env, napi_get_boolean(env, from, &value));
    return Boolean(env, value);
  }
  bool Value() const {
    bool is = false;
    Check(env_, napi_get_value_bool(env_, value_, &is));
    return is;
  }
};

class Number : public Value {
 public:
  using Value::Value;
  static Number New(napi_env env, double from) {
    napi_value value = nullptr;
    Check(env, napi_create_double(env, from, &value));
    return Number(env, value);
  }
  int32_t Int32Value() const {
    int32_t number = 0;
    Check(env_, napi_get_value_int32(env_, value_, &number));
    return number;
  }
  uint32_t Uint32Value() const {
    uint32_t number = 0;
    Check(env_, napi_get_value_uint32(env_, value_, &number));
    return number;
  }
  int64_t Int64Value() const {
    int64_t number = 0;
    Check(env_, napi_get_value_int64(env_, value_, &number));
    return number;
  }
};

class BigInt : public Value {
 public:
  using Value::Value;
  static BigInt New(napi_env env, uint64_t from) {
    napi_value value = nullptr;
    Check(env, napi_create_bigint_uint64(env, from, &value));
    return BigInt(env, value);
  }
};

class String : public Value {
 public:
  using Value::Value;
  static String New(napi_env env, const char* text, size_t length = NAPI_AUTO_LENGTH) {
    napi_value value = nullptr;
    Check(env, napi_create_string_utf8(env, text, length, &value));
    return String(env, value);
  }
  static String New(napi_env env, const std::string& text) { return New(env, text.data(), text.size()); }
  std::string Utf8Value() const {
    size_t length = 0;
    std::string text;
    if (!Check(env_, napi_get_value_string_utf8(env_, value_, nullptr, 0, &length))) return text;
    text.resize(length);  // has room for the NUL behind it
    Check(env_, napi_get_value_string_utf8(env_, value_, &text[0], length + 1, &length));
    return text;
  }
};

class Object : public Value {
 public:
  using Value::Value;
  static Object New(napi_env env) {
    napi_value value = nullptr;
    Check(env, napi_create_object(env, &value));
    return Object(env, value);
  }
  void Set(const char* name, napi_value value) { Check(env_, napi_set_named_property(env_, value_, name, value)); }
  void Set(const char* name, const char* text) { Set(name, String::New(env_, text)); }
  void Set(const char* name, const std::string& text) { Set(name, String::New(env_, text)); }
  void Set(const char* name, bool is) { Set(name, Boolean::New(env_, is)); }
  template <typename T, typename = std::enable_if_t<std::is_arithmetic<T>::value>>
  void Set(const char* name, T number) {
    Set(name, Number::New(env_, static_cast<double>(number)));
  }
};

class Array : public Object {
 public:
  using Object::Object;
  static Array New(napi_env env, size_t length) {
    napi_value value = nullptr;
    Check(env, napi_create_array_with_length(env, length, &value));
    return Array(env, value);
  }
  uint32_t Length() const {
    uint32_t length = 0;
    Check(env_, napi_get_array_length(env_, value_, &length));
    return length;
  }
  Napi::Value Get(uint32_t index) const {
    napi_value value = nullptr;
    if (!Check(env_, napi_get_element(env_, value_, index, &value))) return Env().Undefined();
    return Napi::Value(env_, value);
  }
  Napi::Value operator[](uint32_t index) const { return Get(index); }
  void Set(uint32_t index, napi_value value) { Check(env_, napi_set_element(env_, value_, index, value)); }
};

template <typename T, napi_typedarray_type kType>
class TypedArrayOf : public Value {
 public:
  TypedArrayOf(napi_env env, napi_value value) : Value(env, value) {
    napi_typedarray_type type = kType;
    void* data = nullptr;
    size_t length = 0;
    if (!Check(env, napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr))) return;
    if (type != kType) {
      Check(env, napi_invalid_arg);
      return;
    }
    data_ = static_cast<T*>(data);
    length_ = length;
  }
  T* Data() const { return data_; }
  size_t ElementLength() const { return length_; }
  size_t ByteLength() const { return length_ * sizeof(T); }

 private:
  T* data_ = nullptr;
  size_t length_ = 0;
};

using Uint8Array = TypedArrayOf<uint8_t, napi_uint8_array>;
using Int32Array = TypedArrayOf<int32_t, napi_int32_array>;
using Uint32Array = TypedArrayOf<uint32_t, napi_uint32_array>;

template <typename T>
class Buffer : public Value {
 public:
  using Value::Value;
  static Buffer Copy(napi_env env, const T* data, size_t length) {
    napi_value value = nullptr;
    Check(env, napi_create_buffer_copy(env, length * sizeof(T), data, nullptr, &value));
    return Buffer(env, value);
  }
};

template <typename T>
class External : public Value {
 public:
  using Value::Value;
  T* Data() const {
    void* data = nullptr;
    Check(env_, napi_get_value_external(env_, value_, &data));
    return static_cast<T*>(data);
  }
};

/** The arguments of a call; those that were not given are undefined. */
class CallbackInfo {
 public:
  CallbackInfo(napi_env env, napi_callback_info info) : env_(env) {
    napi_get_cb_info(env, info, &length_, arguments_, nullptr, &data_);
  }
  CallbackInfo(const CallbackInfo&) = delete;
  CallbackInfo& operator=(const CallbackInfo&) = delete;
  Napi::Env Env() const { return env_; }
  size_t Length() const { return length_; }
  /** What was given to Function::New(). */
  void* Data() const { return data_; }
  Value operator[](size_t index) const { return index < kMost ? Value(env_, arguments_[index]) : Env().Undefined(); }

 private:
  friend class Function;

  static constexpr size_t kMost = 10;
  napi_env env_;
  size_t length_ = kMost;
  napi_value arguments_[kMost] = {};
  void* data_ = nullptr;
};

class Function : public Value {
 public:
  using Value::Value;
  using Callback = Napi::Value (*)(const CallbackInfo&);

  static Function New(napi_env env, Callback callback, const char* name) {
    return Create(env, name, Call, reinterpret_cast<void*>(callback));
  }

  static Function New(napi_env env, Callback callback, const char* name, void* data) {
    Bound* bound = new Bound{callback, data};
    const Function function = Create(env, name, CallBound, bound);
    Check(env, napi_add_finalizer(env, function, bound, DeleteBound, nullptr, nullptr));
    return function;
  }

 private:
  struct Bound {
    Callback callback;
    void* data;
  };

  static Function Create(napi_env env, const char* name, napi_callback call, void* data) {
    napi_value value = nullptr;
    Check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, call, data, &value));
    return Function(env, value);
  }

  static napi_value Call(napi_env env, napi_callback_info raw) {
    const CallbackInfo info(env, raw);
    return reinterpret_cast<Callback>(info.data_)(info);
  }

  static napi_value CallBound(napi_env env, napi_callback_info raw) {
    CallbackInfo info(env, raw);
    const Bound* bound = static_cast<Bound*>(info.data_);
    info.data_ = bound->data;
    return bound->callback(info);
  }

  static void DeleteBound(napi_env, void* bound, void*) { delete static_cast<Bound*>(bound); }
};

class Promise : public Value {
 public:
  using Value::Value;
  class Deferred {
   public:
    static Deferred New(napi_env env) { return Deferred(env); }
    explicit Deferred(napi_env env) : env_(env) { Check(env, napi_create_promise(env, &deferred_, &promise_)); }
    Napi::Promise Promise() const { return Napi::Promise(env_, promise_); }
    void Resolve(napi_value value) const { Check(env_, napi_resolve_deferred(env_, deferred_, value)); }

   private:
    napi_env env_;
    napi_deferred deferred_ = nullptr;
    napi_value promise_ = nullptr;  // good for as long as the call that made it
  };
};

/** Work for a thread of libuv's pool; deletes itself when it is done. */
class AsyncWorker {
 public:
  virtual ~AsyncWorker() { napi_delete_async_work(env_, work_); }
  AsyncWorker(const AsyncWorker&) = delete;
  AsyncWorker& operator=(const AsyncWorker&) = delete;
  Napi::Env Env() const { return env_; }
  void Queue() { Check(env_, napi_queue_async_work(env_, work_)); }

 protected:
  explicit AsyncWorker(napi_env env) : env_(env) {
    const String name = String::New(env, "listenfds");
    Check(env, napi_create_async_work(env, nullptr, name, OnExecute, OnComplete, this, &work_));
  }
  /** Where no JavaScript can be touched. */
  virtual void Execute() = 0;
  /** Back in the thread of the call. */
  virtual void OnOK() = 0;

 private:
  static void OnExecute(napi_env, void* data) { static_cast<AsyncWorker*>(data)->Execute(); }
  static void OnComplete(napi_env env, napi_status status, void* data) {
    AsyncWorker* worker = static_cast<AsyncWorker*>(data);
    napi_handle_scope scope = nullptr;
    if (status != napi_cancelled && napi_open_handle_scope(env, &scope) == napi_ok) {
      worker->OnOK();
      napi_close_handle_scope(env, scope);
    }
    delete worker;
  }

  napi_env env_;
  napi_async_work work_ = nullptr;
};

}  // namespace Napi

/** What Node.js calls when it loads the addon. */
#define NODE_API_MODULE(name, Init) \
  NAPI_MODULE_INIT() { return Init(Napi::Env(env), Napi::Object(env, exports)); }
