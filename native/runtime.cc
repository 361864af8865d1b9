// The part of the C++ runtime library that node-addon-api needs, so that the addon needs none. There are no exceptions
// here: if the library would throw one, the process ends.
#include <stddef.h>
#include <stdlib.h>

namespace {

void* Allocate(size_t size) {
  void* memory = malloc(size);
  if (memory == nullptr) abort();
  return memory;
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }

namespace std {

[[noreturn]] void __throw_bad_alloc() { abort(); }
[[noreturn]] void __throw_length_error(const char*) { abort(); }
[[noreturn]] void __throw_logic_error(const char*) { abort(); }

}  // namespace std
