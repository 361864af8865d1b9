// What the targets in this folder share. Each is a LLVMFuzzerTestOneInput(): libFuzzer runs it with what it makes up
// (npm run fuzz), replay.cc with files (test/package/fuzz.test.ts).
#ifndef LISTENFDS_TEST_FUZZ_CHECK_H_
#define LISTENFDS_TEST_FUZZ_CHECK_H_

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                  \
    }                                                                           \
  } while (false)

// A copy in a block of exactly its size: one byte read beyond it is seen by the address sanitizer.
class Exact {
 public:
  Exact(const void* bytes, size_t size) : data_(malloc(size)), size_(size) {
    if (size > 0) memcpy(data_, bytes, size);
  }
  ~Exact() { free(data_); }
  Exact(const Exact&) = delete;
  Exact& operator=(const Exact&) = delete;

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_;
  size_t size_;
};

#endif  // LISTENFDS_TEST_FUZZ_CHECK_H_
