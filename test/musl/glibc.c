// What the official Node.js binary, and Debian's libstdc++.so.6 and libgcc_s.so.1, take from glibc and musl has not.
// Compiled as a library with the name of glibc's loader, which they ask for. For tests alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <locale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

// Other names of what musl has.
int __pthread_key_create(pthread_key_t* key, void (*end)(void*)) { return pthread_key_create(key, end); }
int __register_atfork(void (*before)(void), void (*parent)(void), void (*child)(void), void* library) {
  return pthread_atfork(before, parent, child);
}
size_t __strftime_l(char* text, size_t size, const char* format, const struct tm* time, locale_t locale) {
  return strftime_l(text, size, format, time, locale);
}
int fcntl64(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  const unsigned long argument = va_arg(list, unsigned long);
  va_end(list);
  return fcntl(fd, command, argument);
}

// What can be told without glibc.
char __libc_single_threaded = 0;
void* __libc_stack_end;
const char* gnu_get_libc_version(void) { return "0"; }
uint32_t arc4random(void) {
  uint32_t number;
  while (getrandom(&number, sizeof(number), 0) != sizeof(number)) continue;
  return number;
}
struct {
  unsigned vendor, type, subtype, features[1];
} __cpu_model;
int __cpu_indicator_init(void) { return 0; }
int __res_init(void) { return 0; }

// What is only tried.
int backtrace(void** frames, int count) { return 0; }
char** backtrace_symbols(void* const* frames, int count) { return NULL; }
void backtrace_symbols_fd(void* const* frames, int count, int fd) {}
static int unknown(void) {
  errno = ENOSYS;
  return -1;
}
int getcontext(void* context) { return unknown(); }
int setcontext(const void* context) { return unknown(); }
int pidfd_getpid(int fd) { return unknown(); }
void makecontext(void* context, void (*function)(void), int count, ...) { abort(); }

// Where the tables are by which libgcc unwinds.
struct object {
  unsigned long long flags;
  void *start, *end, *map, *eh_frame;
  uint64_t reserved[7];
};
struct search {
  uintptr_t address;
  struct object* found;
  int done;
};
static int look(struct dl_phdr_info* library, size_t size, void* data) {
  struct search* search = data;
  uintptr_t start = UINTPTR_MAX, end = 0, eh_frame = 0;
  int inside = 0;
  for (int i = 0; i < library->dlpi_phnum; i++) {
    const ElfW(Phdr)* header = &library->dlpi_phdr[i];
    const uintptr_t from = library->dlpi_addr + header->p_vaddr, to = from + header->p_memsz;
    if (header->p_type == PT_GNU_EH_FRAME) eh_frame = from;
    if (header->p_type != PT_LOAD) continue;
    if (from < start) start = from;
    if (to > end) end = to;
    inside |= search->address >= from && search->address < to;
  }
  if (!inside || eh_frame == 0) return 0;
  memset(search->found, 0, sizeof(*search->found));
  search->found->start = (void*)start;
  search->found->end = (void*)end;
  search->found->eh_frame = (void*)eh_frame;
  search->done = 1;
  return 1;
}
int _dl_find_object(void* address, struct object* found) {
  struct search search = {(uintptr_t)address, found, 0};
  dl_iterate_phdr(look, &search);
  return search.done ? 0 : -1;
}

// The end of thread_local objects, as libstdc++ does it elsewhere.
struct ending {
  void (*run)(void*);
  void* object;
  struct ending* next;
};
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread struct ending* endings;
static void run_endings(void* unused) {
  while (endings != NULL) {
    struct ending* first = endings;
    endings = first->next;
    first->run(first->object);
    free(first);
  }
}
static void make_key(void) { pthread_key_create(&key, run_endings); }
int __cxa_thread_atexit_impl(void (*run)(void*), void* object, void* library) {
  struct ending* ending = malloc(sizeof(*ending));
  if (ending == NULL) return -1;
  pthread_once(&once, make_key);
  *ending = (struct ending){run, object, endings};
  endings = ending;
  return pthread_setspecific(key, ending);
}
