// One call from JavaScript: its arguments, checked before the function runs, and what goes back. A function gets what
// its row in addon.cc says it takes, whoever calls; anything else is a TypeError. Node-API without a C++ wrapper:
// nothing here or elsewhere in native/ needs the C++ runtime library.
#ifndef LISTENFDS_NATIVE_CALL_H_
#define LISTENFDS_NATIVE_CALL_H_

#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

// What an argument has to be.
enum Kind : uint8_t {
  kNothing,  // the end of the list
  kInt,      // a whole number of 32 bits, with a sign
  kUint,     // without
  kSize,     // not negative, and exact
  kFlag,
  kName,  // a string without NUL: the kernel would read another name, up to there
  kNameOrNull,
  kText,   // any string
  kBytes,  // Uint8Array; no typed array may be detached
  kBytesOrNull,
  kInts,  // Int32Array
  kIntsOrNull,
  kWords,  // Uint32Array
  kNames,  // an array of strings without NUL
  kFunction,
  kObject,
};

// Blocks that are freed together.
struct Memory {
  // Aligned for anything; null where there is no memory.
  void* Get(size_t size);
  // Takes over what another has.
  void Take(Memory* other);
  void Free();

  struct Block* first = nullptr;
};

struct Argument {
  napi_value value;
  double number;
  bool null;
  void* data;   // bytes of a typed array; a string, terminated; strings: char*[]
  size_t size;  // bytes of a Uint8Array and a string, elements of everything else
};

constexpr size_t kMostArguments = 8;

class Call {
 public:
  Call(napi_env environment) : env(environment) {}
  ~Call() { memory.Free(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  int32_t Int(size_t i) const { return static_cast<int32_t>(arguments[i].number); }
  uint32_t Uint(size_t i) const { return static_cast<uint32_t>(arguments[i].number); }
  int64_t Size(size_t i) const { return static_cast<int64_t>(arguments[i].number); }
  bool Flag(size_t i) const { return arguments[i].number != 0; }
  bool Null(size_t i) const { return arguments[i].null; }
  // A descriptor comes first wherever there is one.
  int Fd() const { return Int(0); }
  const char* Name(size_t i) const { return static_cast<const char*>(arguments[i].data); }
  const Argument& operator[](size_t i) const { return arguments[i]; }

  napi_value Number(double value) const;
  napi_value Boolean(bool value) const;
  napi_value Bytes(const void* data, size_t size) const;
  napi_value Null() const;
  napi_value Undefined() const;
  // Of a system call: its result, or -errno.
  napi_value Result(int64_t result) const;

  napi_env env;
  Argument arguments[kMostArguments] = {};
  Memory memory;  // what the arguments point to
};

// A row of the table in addon.cc.
struct Function {
  const char* name;
  napi_value (*run)(Call& call);
  Kind takes[kMostArguments + 1];
};

// Adds the function to `exports`. `function` has to stay where it is.
void Export(napi_env env, napi_value exports, const Function* function);

// An object to return.
class Object {
 public:
  explicit Object(napi_env env) : env_(env) { napi_create_object(env, &value_); }
  void Set(const char* key, napi_value value) { napi_set_named_property(env_, value_, key, value); }
  void SetNumber(const char* key, double value);
  void SetFlag(const char* key, bool value);
  void SetText(const char* key, const char* text, size_t size);
  void SetNull(const char* key);
  napi_value value() const { return value_; }
  napi_env env() const { return env_; }

 private:
  napi_env env_;
  napi_value value_ = nullptr;
};

#endif  // LISTENFDS_NATIVE_CALL_H_
