#include "process.h"

#include <errno.h>
#include <sys/prctl.h>
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
napi_value ThreadId(Call& call) { return call.Result(syscall(SYS_gettid)); }

napi_value PidfdInode(Call& call) {
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
  napi_value inode = nullptr;
  napi_create_bigint_uint64(call.env, status.inode, &inode);
  return inode;
}

napi_value BorrowFd(Call& call) {
  const int process = static_cast<int>(syscall(SYS_pidfd_open, call.Int(0), 0));
  if (process < 0) return call.Result(-1);
  const long borrowed = syscall(SYS_pidfd_getfd, process, call.Int(1), 0);  // with FD_CLOEXEC
  const int error = errno;
  close(process);
  return call.Number(static_cast<double>(borrowed < 0 ? -error : borrowed));
}

napi_value BecomeSubreaper(Call& call) { return call.Result(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)); }

napi_value ReapProcess(Call& call) {
  int status = 0;
  pid_t pid;
  do pid = waitpid(call.Int(0), &status, WNOHANG);
  while (pid < 0 && errno == EINTR);
  if (pid < 0) return call.Result(-1);
  if (pid == 0) return call.Null();
  Object out(call.env);
  out.SetNumber("pid", pid);
  out.Set("code", WIFEXITED(status) ? call.Number(WEXITSTATUS(status)) : call.Null());
  out.Set("signal", WIFSIGNALED(status) ? call.Number(WTERMSIG(status)) : call.Null());
  return out.value();
}
