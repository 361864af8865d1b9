#include "call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct alignas(16) Block {
  Block* next;
};

void* Memory::Get(size_t size) {
  if (size > SIZE_MAX - sizeof(Block)) return nullptr;
  Block* block = static_cast<Block*>(malloc(sizeof(Block) + size));
  if (block == nullptr) return nullptr;
  block->next = first;
  first = block;
  return block + 1;
}

void Memory::Take(Memory* other) {
  Block** last = &first;
  while (*last != nullptr) last = &(*last)->next;
  *last = other->first;
  other->first = nullptr;
}

void Memory::Free() {
  while (first != nullptr) {
    Block* next = first->next;
    free(first);
    first = next;
  }
}

namespace {

const char* Expectation(Kind kind) {
  switch (kind) {
    case kInt:
      return "a whole number of 32 bits";
    case kUint:
      return "a whole number of 32 bits without a sign";
    case kSize:
      return "a whole number that is not negative";
    case kFlag:
      return "a boolean";
    case kName:
      return "a string without NUL";
    case kNameOrNull:
      return "a string without NUL, or null";
    case kText:
      return "a string";
    case kBytes:
      return "a Uint8Array that is not detached";
    case kBytesOrNull:
      return "a Uint8Array that is not detached, or null";
    case kInts:
      return "an Int32Array that is not detached";
    case kIntsOrNull:
      return "an Int32Array that is not detached, or null";
    case kWords:
      return "a Uint32Array that is not detached";
    case kNames:
      return "an array of strings without NUL";
    case kFunction:
      return "a function";
    default:
      return "an object of this addon";
  }
}

bool ReadNumber(Napi::Value value, double least, double most, Argument* out) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  // NaN is outside of every range, and truncation would make another number of a fraction.
  if (!(number >= least && number <= most)) return false;
  if (static_cast<double>(static_cast<int64_t>(number)) != number) return false;
  out->number = number;
  return true;
}

bool ReadFlag(Napi::Value value, Argument* out) {
  if (!value.IsBoolean()) return false;
  out->number = value.As<Napi::Boolean>().Value() ? 1 : 0;
  return true;
}

// Not Napi::String::Utf8Value(), which needs std::string.
bool ReadText(Napi::Value value, Memory* memory, Argument* out) {
  size_t size;
  if (napi_get_value_string_utf8(value.Env(), value, nullptr, 0, &size) != napi_ok) return false;
  char* text = static_cast<char*>(memory->Get(size + 1));
  if (text == nullptr) return false;
  if (napi_get_value_string_utf8(value.Env(), value, text, size + 1, &out->size) != napi_ok) return false;
  out->data = text;
  return true;
}

bool ReadName(Napi::Value value, Memory* memory, Argument* out) {
  return ReadText(value, memory, out) && memchr(out->data, '\0', out->size) == nullptr;
}

template <typename Array>
bool ReadArray(Napi::Value value, napi_typedarray_type wanted, Argument* out) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != wanted) return false;
  Array array = value.As<Array>();
  if (array.ArrayBuffer().IsDetached()) return false;
  out->data = array.Data();
  out->size = array.ElementLength();
  return true;
}

bool ReadNames(Napi::Value value, Memory* memory, Argument* out) {
  // The array itself, not something that only looks like one: reading that would run code of its owner.
  if (!value.IsArray()) return false;
  Napi::Array array = value.As<Napi::Array>();
  const uint32_t length = array.Length();
  char** names = static_cast<char**>(memory->Get((static_cast<size_t>(length) + 1) * sizeof(char*)));
  if (names == nullptr) return false;
  for (uint32_t i = 0; i < length; i++) {
    Argument name;
    Napi::Value element = array.Get(i);
    if (element.IsEmpty() || !ReadName(element, memory, &name)) return false;
    names[i] = static_cast<char*>(name.data);
  }
  names[length] = nullptr;
  out->data = names;
  out->size = length;
  return true;
}

bool Read(Kind kind, Napi::Value value, Memory* memory, Argument* out) {
  out->value = value;
  if (kind == kNameOrNull || kind == kBytesOrNull || kind == kIntsOrNull) {
    out->null = value.IsNull();
    if (out->null) return true;
  }
  switch (kind) {
    case kInt:
      return ReadNumber(value, INT32_MIN, INT32_MAX, out);
    case kUint:
      return ReadNumber(value, 0, UINT32_MAX, out);
    case kSize:
      return ReadNumber(value, 0, 9007199254740991, out);
    case kFlag:
      return ReadFlag(value, out);
    case kName:
    case kNameOrNull:
      return ReadName(value, memory, out);
    case kText:
      return ReadText(value, memory, out);
    case kBytes:
    case kBytesOrNull:
      return ReadArray<Napi::Uint8Array>(value, napi_uint8_array, out);
    case kInts:
    case kIntsOrNull:
      return ReadArray<Napi::Int32Array>(value, napi_int32_array, out);
    case kWords:
      return ReadArray<Napi::Uint32Array>(value, napi_uint32_array, out);
    case kNames:
      return ReadNames(value, memory, out);
    case kFunction:
      return value.IsFunction();
    default:
      return value.Type() == napi_object;
  }
}

// Appends as much of `text` as there is room for.
void Append(char* message, size_t room, const char* text) {
  const size_t used = strlen(message);
  const size_t size = strnlen(text, room - used - 1);
  memcpy(message + used, text, size);
  message[used + size] = '\0';
}

void Refuse(Napi::Env env, const Function& function, size_t i) {
  if (env.IsExceptionPending()) return;  // by code that reading the argument ran
  char message[160] = "argument ";
  const char position[] = {static_cast<char>('1' + i), '\0'};
  const char* parts[] = {position, " of ", function.name, "() must be ", Expectation(function.takes[i])};
  for (const char* part : parts) Append(message, sizeof(message), part);
  ThrowTypeError(env, message);
}

Napi::Value Enter(const Napi::CallbackInfo& info) {
  const Function& function = *static_cast<const Function*>(info.Data());
  Call call(info.Env());
  for (size_t i = 0; function.takes[i] != kNothing; i++) {
    if (!Read(function.takes[i], info[i], &call.memory, &call.arguments[i])) {
      Refuse(call.env, function, i);
      return Napi::Value();
    }
  }
  return function.run(call);
}

}  // namespace

void ThrowTypeError(Napi::Env env, const char* message) {
  Napi::TypeError error = Napi::TypeError::New(env, message);
  error.Set("code", "ERR_INVALID_ARG_TYPE");
  error.ThrowAsJavaScriptException();
}

void Export(Napi::Object exports, const Function* function) {
  exports.Set(function->name,
              Napi::Function::New<Enter>(exports.Env(), function->name, const_cast<Function*>(function)));
}

void Record::SetNumber(const char* key, double value) { Set(key, value); }

void Record::SetFlag(const char* key, bool value) { Set(key, value); }

void Record::SetValue(const char* key, Napi::Value value) { Set(key, value); }

Napi::Value Call::Number(double value) const { return Napi::Number::New(env, value); }

Napi::Value Call::Bytes(const void* data, size_t size) const {
  return Napi::Buffer<uint8_t>::Copy(env, static_cast<const uint8_t*>(data), size);
}

Napi::Value Call::Result(int64_t result) const { return Number(static_cast<double>(result < 0 ? -errno : result)); }
