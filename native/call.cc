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

bool IsType(napi_env env, napi_value value, napi_valuetype wanted) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && type == wanted;
}

bool ReadNumber(napi_env env, napi_value value, double least, double most, Argument* out) {
  double number;
  // NaN is no part of any range, and truncation would make another number of a fraction.
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= least && number <= most)) return false;
  if (static_cast<double>(static_cast<int64_t>(number)) != number) return false;
  out->number = number;
  return true;
}

bool ReadFlag(napi_env env, napi_value value, Argument* out) {
  bool flag;
  if (napi_get_value_bool(env, value, &flag) != napi_ok) return false;
  out->number = flag ? 1 : 0;
  return true;
}

bool ReadText(napi_env env, napi_value value, Memory* memory, Argument* out) {
  size_t size;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &size) != napi_ok) return false;
  char* text = static_cast<char*>(memory->Get(size + 1));
  if (text == nullptr || napi_get_value_string_utf8(env, value, text, size + 1, &out->size) != napi_ok) return false;
  out->data = text;
  return true;
}

bool ReadName(napi_env env, napi_value value, Memory* memory, Argument* out) {
  return ReadText(env, value, memory, out) && memchr(out->data, '\0', out->size) == nullptr;
}

bool ReadArray(napi_env env, napi_value value, napi_typedarray_type wanted, Argument* out) {
  napi_typedarray_type type;
  napi_value buffer;
  bool detached = false;
  if (napi_get_typedarray_info(env, value, &type, &out->size, &out->data, &buffer, nullptr) != napi_ok) return false;
  if (type != wanted || napi_is_detached_arraybuffer(env, buffer, &detached) != napi_ok) return false;
  return !detached;
}

bool ReadNames(napi_env env, napi_value value, Memory* memory, Argument* out) {
  uint32_t length;
  // The array itself, not what only looks like one: reading that would run code of its owner.
  if (napi_get_array_length(env, value, &length) != napi_ok) return false;
  char** names = static_cast<char**>(memory->Get((static_cast<size_t>(length) + 1) * sizeof(char*)));
  if (names == nullptr) return false;
  for (uint32_t i = 0; i < length; i++) {
    napi_value element;
    Argument name = {};
    if (napi_get_element(env, value, i, &element) != napi_ok || !ReadName(env, element, memory, &name)) return false;
    names[i] = static_cast<char*>(name.data);
  }
  names[length] = nullptr;
  out->data = names;
  out->size = length;
  return true;
}

bool Read(napi_env env, Kind kind, napi_value value, Memory* memory, Argument* out) {
  out->value = value;
  if (kind == kNameOrNull || kind == kBytesOrNull || kind == kIntsOrNull) {
    out->null = IsType(env, value, napi_null);
    if (out->null) return true;
  }
  switch (kind) {
    case kInt:
      return ReadNumber(env, value, INT32_MIN, INT32_MAX, out);
    case kUint:
      return ReadNumber(env, value, 0, UINT32_MAX, out);
    case kSize:
      return ReadNumber(env, value, 0, 9007199254740991, out);
    case kFlag:
      return ReadFlag(env, value, out);
    case kName:
    case kNameOrNull:
      return ReadName(env, value, memory, out);
    case kText:
      return ReadText(env, value, memory, out);
    case kBytes:
    case kBytesOrNull:
      return ReadArray(env, value, napi_uint8_array, out);
    case kInts:
    case kIntsOrNull:
      return ReadArray(env, value, napi_int32_array, out);
    case kWords:
      return ReadArray(env, value, napi_uint32_array, out);
    case kNames:
      return ReadNames(env, value, memory, out);
    case kFunction:
      return IsType(env, value, napi_function);
    default:
      return IsType(env, value, napi_object);
  }
}

// Appends as much of `text` as there is room for.
void Append(char* message, size_t room, const char* text) {
  const size_t used = strlen(message);
  const size_t size = strnlen(text, room - used - 1);
  memcpy(message + used, text, size);
  message[used + size] = '\0';
}

napi_value Refuse(napi_env env, const Function& function, size_t i) {
  bool thrown = false;
  napi_is_exception_pending(env, &thrown);
  if (thrown) return nullptr;  // by what reading the argument ran
  char message[160] = "argument ";
  const char position[] = {static_cast<char>('1' + i), '\0'};
  const char* parts[] = {position, " of ", function.name, "() must be ", Expectation(function.takes[i])};
  for (const char* part : parts) Append(message, sizeof(message), part);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return nullptr;
}

napi_value Enter(napi_env env, napi_callback_info info) {
  napi_value values[kMostArguments];
  size_t count = kMostArguments;
  void* data;
  if (napi_get_cb_info(env, info, &count, values, nullptr, &data) != napi_ok) return nullptr;
  const Function& function = *static_cast<const Function*>(data);
  Call call(env);
  for (size_t i = 0; function.takes[i] != kNothing; i++) {
    if (!Read(env, function.takes[i], values[i], &call.memory, &call.arguments[i])) return Refuse(env, function, i);
  }
  return function.run(call);
}

}  // namespace

void Export(napi_env env, napi_value exports, const Function* function) {
  napi_value value;
  if (napi_create_function(env, function->name, NAPI_AUTO_LENGTH, Enter, const_cast<Function*>(function), &value) ==
      napi_ok) {
    napi_set_named_property(env, exports, function->name, value);
  }
}

napi_value Call::Number(double value) const {
  napi_value out = nullptr;
  napi_create_double(env, value, &out);
  return out;
}

napi_value Call::Boolean(bool value) const {
  napi_value out = nullptr;
  napi_get_boolean(env, value, &out);
  return out;
}

napi_value Call::Bytes(const void* data, size_t size) const {
  napi_value out = nullptr;
  napi_create_buffer_copy(env, size, data, nullptr, &out);
  return out;
}

napi_value Call::Null() const {
  napi_value out = nullptr;
  napi_get_null(env, &out);
  return out;
}

napi_value Call::Undefined() const {
  napi_value out = nullptr;
  napi_get_undefined(env, &out);
  return out;
}

napi_value Call::Result(int64_t result) const { return Number(static_cast<double>(result < 0 ? -errno : result)); }

void Object::SetNumber(const char* key, double value) {
  napi_value number = nullptr;
  napi_create_double(env_, value, &number);
  Set(key, number);
}

void Object::SetFlag(const char* key, bool value) {
  napi_value flag = nullptr;
  napi_get_boolean(env_, value, &flag);
  Set(key, flag);
}

void Object::SetText(const char* key, const char* text, size_t size) {
  napi_value string = nullptr;
  napi_create_string_utf8(env_, text, size, &string);
  Set(key, string);
}

void Object::SetNull(const char* key) {
  napi_value null = nullptr;
  napi_get_null(env_, &null);
  Set(key, null);
}
