// One call from JavaScript: its arguments, checked before the function runs, and its result. A function gets the
// arguments that its row in addon.cc says, whoever calls; anything else is a TypeError.
#ifndef LISTENFDS_NATIVE_CALL_H_
#define LISTENFDS_NATIVE_CALL_H_

#include <napi.h>
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
  // Aligned for anything; null if there is no memory.
  void* Get(size_t size);
  // Takes over the memory of another.
  void Take(Memory* other);
  void Free();

  struct Block* first = nullptr;
};

struct Argument {
  Napi::Value value;
  double number = 0;
  bool null = false;
  void* data = nullptr;  // bytes of a typed array; a string, terminated; strings: char*[]
  size_t size = 0;       // bytes of a Uint8Array and a string, elements of everything else
};

constexpr size_t kMostArguments = 8;

class Call {
 public:
  explicit Call(Napi::Env environment) : env(environment) {}
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

  Napi::Value Number(double value) const;
  Napi::Value Bytes(const void* data, size_t size) const;
  // Of a system call: its result, or -errno.
  Napi::Value Result(int64_t result) const;

  Napi::Env env;
  Argument arguments[kMostArguments];
  Memory memory;  // what the arguments point to
};

void ThrowTypeError(Napi::Env env, const char* message);

// An object to return. Napi::Object has templates for this, which every caller would have a copy of.
class Record : public Napi::Object {
 public:
  explicit Record(Napi::Env env) : Napi::Object(Napi::Object::New(env)) {}
  void SetNumber(const char* key, double value);
  void SetFlag(const char* key, bool value);
  void SetValue(const char* key, Napi::Value value);
};

// A row of the table in addon.cc.
struct Function {
  const char* name;
  Napi::Value (*run)(Call& call);
  Kind takes[kMostArguments + 1];
};

// Adds the function to `exports`. `function` has to stay where it is.
void Export(Napi::Object exports, const Function* function);

#endif  // LISTENFDS_NATIVE_CALL_H_
