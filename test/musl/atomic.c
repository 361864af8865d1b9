// Debian's libatomic.so.1 chooses its functions by IFUNC, which musl has not. This is the one that Node.js takes from
// it.
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

bool exchange(size_t size, void* value, void* expected, void* wanted, int success,
              int failure) __asm__("__atomic_compare_exchange");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool exchange(size_t size, void* value, void* expected, void* wanted, int success, int failure) {
  pthread_mutex_lock(&lock);
  const bool same = memcmp(value, expected, size) == 0;
  if (same) {
    memcpy(value, wanted, size);
  } else {
    memcpy(expected, value, size);
  }
  pthread_mutex_unlock(&lock);
  return same;
}
