#include "closer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libuv.h"
#include "status.h"

namespace {

// What a pipe holds, pipe(7); of a user who has many of them it holds less.
constexpr int kPipe = 65536;
// It calls read(2) and close(2).
constexpr size_t kStack = 64 << 10;
constexpr int kSoonMs = 20;

// It may outlive the instance, but not the code: the addon is never unloaded (-z nodelete).
void Run(void* argument) {
  const int source = static_cast<int>(reinterpret_cast<intptr_t>(argument));
  // Handlers are for the threads of the program.
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  int fd;
  ssize_t size;
  // Numbers are written whole, and a pipe keeps writes shorter than PIPE_BUF together.
  while ((size = read(source, &fd, sizeof(fd))) > 0 || (size < 0 && errno == EINTR)) {
    if (size > 0) close(fd);
  }
  close(source);
}

// The last close of a pipe cannot wait, and somebody waits for it: notifyBarrier().
bool IsPipe(int fd) {
  Status status = {};
  return ReadStatus(fd, &status) == 0 && S_ISFIFO(status.mode);
}

// If the queue is full or there is no thread: TCP goes on sending by itself, and nobody waits for it.
void CloseHere(int fd) {
  const linger none = {};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
  close(fd);
}

}  // namespace

Closer::~Closer() {
  if (pipe_ >= 0) close(pipe_);
}

bool Closer::Start() {
  if (pipe_ >= 0) return true;
  if (uv_thread_create_ex == nullptr) return false;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  const uv_thread_options_t options = {UV_THREAD_HAS_STACK_SIZE, kStack};
  uv_thread_t thread;
  if (fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0 ||
      uv_thread_create_ex(&thread, &options, Run, reinterpret_cast<void*>(static_cast<intptr_t>(ends[0]))) != 0) {
    close(ends[0]);
    close(ends[1]);
    return false;
  }
  pipe_ = ends[1];
  return true;
}

void Closer::Close(int fd) {
  if (IsPipe(fd) || !Start() || write(pipe_, &fd, sizeof(fd)) != sizeof(fd)) CloseHere(fd);
}

void Closer::CloseSoon(int fd) {
  // The thread closes the other end of this one next.
  int ends[2];
  if (!Start() || pipe2(ends, O_CLOEXEC) != 0) return Close(fd);
  const int both[] = {fd, ends[1]};
  if (write(pipe_, both, sizeof(both)) == sizeof(both)) {
    pollfd closed = {ends[0], 0, 0};
    poll(&closed, 1, kSoonMs);
  } else {
    CloseHere(fd);
    close(ends[1]);
  }
  close(ends[0]);
}

size_t Closer::Waiting() const {
  int bytes = 0;
  if (pipe_ < 0 || ioctl(pipe_, FIONREAD, &bytes) != 0) return 0;
  return static_cast<size_t>(bytes) / sizeof(int);
}

size_t Closer::Room() const {
  const size_t waiting = Waiting();
  const int size = pipe_ < 0 ? kPipe : fcntl(pipe_, F_GETPIPE_SZ);
  // The rest is for sockets that are closed meanwhile.
  size_t most = static_cast<size_t>(size < 0 ? 0 : size) / sizeof(int) / 4 * 3;
  rlimit limit;
  // A quarter of the descriptors that the process may open: the kernel closes those without a number, and stands still
  // itself.
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < most) most = limit.rlim_cur / 4;
  return waiting < most ? most - waiting : 0;
}
