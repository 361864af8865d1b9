#include "end-as.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The C library is gone with the rest of the memory, and so is the data that instrumentation and the protection of
// stacks read.
#if defined(__clang__)
#define LISTENFDS_BARE __attribute__((noinline, no_stack_protector, no_sanitize("address", "undefined")))
#elif __GNUC__ >= 11
#define LISTENFDS_BARE \
  __attribute__((noinline, no_stack_protector, no_sanitize("address,undefined"), no_profile_instrument_function))
#else
#define LISTENFDS_BARE __attribute__((noinline, optimize("no-stack-protector")))
#endif

namespace {

#if defined(__x86_64__) || defined(__aarch64__)

__attribute__((always_inline)) inline long Call(long number, long a, long b, long c, long d) {
#ifdef __x86_64__
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return result;
#else
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#endif
}

__attribute__((always_inline)) inline uintptr_t ThreadPointer() {
  uintptr_t pointer;
#ifdef __x86_64__
  __asm__("mov %%fs:0, %0" : "=r"(pointer));
#else
  __asm__("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
  return pointer;
}

// The largest pages there are.
constexpr uintptr_t kPage = 64 << 10;

// Unmaps the addresses between; with holes in it, as munmap(2) allows.
__attribute__((always_inline)) inline void Unmap(uintptr_t from, uintptr_t to) {
  if (from < to) Call(SYS_munmap, static_cast<long>(from), static_cast<long>(to - from), 0, 0);
}

// Stays: the page of this code, of the stack, and of the C library's data of the thread, to which the kernel writes
// (rseq(2)); each with its neighbours.
__attribute__((always_inline)) inline void Forget(uintptr_t code, uintptr_t stack, uintptr_t thread) {
  uintptr_t a = code & ~(kPage - 1), b = stack & ~(kPage - 1), c = thread & ~(kPage - 1), other;
  if (a > b) other = a, a = b, b = other;
  if (b > c) other = b, b = c, c = other;
  if (a > b) other = a, a = b, b = other;
  Unmap(0, a - kPage);
  Unmap(a + 2 * kPage, b - kPage);
  Unmap(b + 2 * kPage, c - kPage);
  // Where the addresses of a program end, nothing tells.
  const uintptr_t from = c + 2 * kPage;
  for (int bits = 56; bits > 38; bits--) {
    const uintptr_t to = (uintptr_t{1} << bits) - kPage;
    if (from < to && Call(SYS_munmap, static_cast<long>(from), static_cast<long>(to - from), 0, 0) == 0) break;
  }
}

LISTENFDS_BARE [[noreturn]] void Wait(pid_t child) {
  Forget(reinterpret_cast<uintptr_t>(&Wait), reinterpret_cast<uintptr_t>(__builtin_frame_address(0)), ThreadPointer());
  int status = 0;
  while (Call(SYS_wait4, child, reinterpret_cast<long>(&status), 0, 0) == -EINTR) {
  }
  if (WIFEXITED(status)) Call(SYS_exit_group, WEXITSTATUS(status), 0, 0, 0);
  uint64_t none = 0;
  Call(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&none), 0, sizeof(none));
  Call(SYS_kill, Call(SYS_getpid, 0, 0, 0, 0), WTERMSIG(status), 0, 0);
  for (;;) Call(SYS_exit_group, 127, 0, 0, 0);
}

#else

[[noreturn]] void Wait(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  kill(getpid(), WTERMSIG(status));
  _exit(127);
}

#endif

}  // namespace

void EndAs(pid_t child) { Wait(child); }
