#include "process.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "status.h"

// Numbers that the headers of Debian 10 lack; the same on every architecture.
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446
#endif

// glibc has the function since 2.30 only.
Napi::Value ThreadId(Call& call) { return call.Result(syscall(SYS_gettid)); }

Napi::Value MayListen(Call& call) {
  // If it is not known, the answer is no.
  const int filter = prctl(PR_GET_SECCOMP);
  int status = filter == 0 || (filter < 0 && errno == EINVAL) ? 0 : -1;
  if (status != 0) {
    // No handler of ours may run in the child.
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_DUMPABLE, 0);
      listen(-1, 0);
      _exit(errno == EBADF ? 0 : 1);
    }
    sigprocmask(SIG_SETMASK, &before, nullptr);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  return Napi::Boolean::New(call.env, status == 0);
}

Napi::Value PidfdInode(Call& call) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, call.Int(0), 0));
  if (fd < 0) return call.Result(-1);
  struct statfs file_system = {};
  Status status = {};
  int error = 0;
  if (fstatfs(fd, &file_system) != 0) {
    error = errno;
  } else if (file_system.f_type != PID_FS_MAGIC) {
    error = EOPNOTSUPP;  // before Linux 6.9 every pidfd shares one anonymous inode
  } else if (ReadStatus(fd, &status) != 0) {
    error = errno;
  }
  close(fd);
  if (error != 0) return call.Number(-error);
  return Napi::BigInt::New(call.env, status.inode);
}

Napi::Value BorrowFd(Call& call) {
  const int process = static_cast<int>(syscall(SYS_pidfd_open, call.Int(0), 0));
  if (process < 0) return call.Result(-1);
  const long borrowed = syscall(SYS_pidfd_getfd, process, call.Int(1), 0);  // with FD_CLOEXEC
  const int error = errno;
  close(process);
  return call.Number(static_cast<double>(borrowed < 0 ? -error : borrowed));
}

Napi::Value BecomeSubreaper(Call& call) { return call.Result(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)); }

Napi::Value ReapProcess(Call& call) {
  int status = 0;
  pid_t pid;
  do pid = waitpid(call.Int(0), &status, WNOHANG);
  while (pid < 0 && errno == EINTR);
  if (pid < 0) return call.Result(-1);
  if (pid == 0) return call.env.Null();
  Record out(call.env);
  out.SetNumber("pid", pid);
  out.SetValue("code", WIFEXITED(status) ? call.Number(WEXITSTATUS(status)) : call.env.Null());
  out.SetValue("signal", WIFSIGNALED(status) ? call.Number(WTERMSIG(status)) : call.env.Null());
  return out;
}
