#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

// Numbers that the headers of Debian 10 lack; the same on every architecture.
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

namespace {

constexpr unsigned kCloseRangeCloexec = 1U << 2;

std::vector<std::string> Strings(Napi::Value value) {
  Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> out;
  for (uint32_t i = 0; i < array.Length(); i++) out.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return out;
}

std::vector<char*> Pointers(std::vector<std::string>* strings) {
  std::vector<char*> out;
  for (std::string& one : *strings) out.push_back(&one[0]);
  out.push_back(nullptr);
  return out;
}

struct Plan {
  const char* file;
  char** argv;
  char** env;
  const char* cwd;
  int* fds;  // sources; the child moves them
  int count;
  int highest;  // no descriptor above that one is open
  bool own_group;
  char* pid_digits;
  int report;  // where errno goes; closed by execve(2)
};

// Between fork(2) and execve(2) only what signal-safety(7) allows: another thread may hold any lock.
int BecomeProgram(Plan* plan) {
  // Node ignores SIGPIPE, and what is ignored stays so in the program.
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &standard, nullptr);
  if (plan->own_group && setpgid(0, 0) != 0) return errno;

  // Out of the way first: a source may have the number of another one's target.
  const int free = plan->count + 1;
  // Until there is another, the old one is what tells the error.
  const int report = fcntl(plan->report, F_DUPFD_CLOEXEC, free);
  if (report < 0) return errno;
  plan->report = report;
  for (int i = 0; i < plan->count; i++) {
    plan->fds[i] = fcntl(plan->fds[i], F_DUPFD_CLOEXEC, free);
    if (plan->fds[i] < 0) return errno;
  }
  for (int i = 0; i < plan->count; i++) {
    if (dup2(plan->fds[i], i) < 0) return errno;
  }
  // Linux 5.11, or the slow way.
  if (syscall(SYS_close_range, plan->count, UINT_MAX, kCloseRangeCloexec) != 0) {
    for (int fd = plan->count; fd <= plan->highest; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  if (plan->cwd != nullptr && chdir(plan->cwd) != 0) return errno;

  if (plan->pid_digits != nullptr) {
    char digits[16];
    int length = 0;
    for (int pid = getpid(); pid > 0; pid /= 10) digits[length++] = static_cast<char>('0' + pid % 10);
    for (int i = 0; i < length; i++) plan->pid_digits[i] = digits[length - 1 - i];
    plan->pid_digits[length] = '\0';
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(plan->file, plan->argv, plan->env);
  return errno;
}

// What comes through the report pipe; at most PIPE_BUF, so that two writers do not mix.
struct Report {
  pid_t pid;  // of the program, where a guard has started it
  int error;
};

void Tell(int fd, Report report) {
  ssize_t written;
  do written = write(fd, &report, sizeof(report));
  while (written < 0 && errno == EINTR);
}

[[noreturn]] void RunProgram(Plan* plan) {
  const int error = BecomeProgram(plan);
  Tell(plan->report, {0, error});
  _exit(127);
}

// Between the caller and the program: ends as the program ends, and when it is killed instead, the program is an orphan
// and so its reaper's child, a service manager's for example. Nothing of the caller's stays open here.
[[noreturn]] void Guard(Plan* plan, pid_t caller) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != caller) _exit(127);
  const pid_t pid = fork();
  if (pid == 0) RunProgram(plan);
  Tell(plan->report, pid < 0 ? Report{0, errno} : Report{pid, 0});
  if (syscall(SYS_close_range, 0, UINT_MAX, 0) != 0) {
    for (int fd = 0; fd <= plan->highest; fd++) close(fd);
  }
  if (pid < 0) _exit(127);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  prctl(PR_SET_DUMPABLE, 0);  // one core is enough
  signal(WTERMSIG(status), SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  raise(WTERMSIG(status));
  _exit(127);
}

struct Process {
  pid_t pid;    // the program's, or -errno
  pid_t child;  // whom to reap
};

Process Start(Plan* plan, bool guarded) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return {-errno, 0};
  plan->report = report[1];
  if (report[1] > plan->highest) plan->highest = report[1];
  // No handler of ours may run in the child.
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t caller = getpid();
  const pid_t child = fork();
  if (child == 0) {
    if (guarded) Guard(plan, caller);
    RunProgram(plan);
  }
  int error = child < 0 ? errno : 0;
  pid_t pid = child;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  close(report[1]);
  while (child > 0) {
    Report told;
    const ssize_t size = read(report[0], &told, sizeof(told));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;  // execve(2) has closed the other end
    if (told.pid != 0) pid = told.pid;
    if (told.error != 0) error = told.error;
  }
  if (child > 0 && error != 0) {
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  close(report[0]);
  return {error != 0 ? -error : pid, child};
}

// What JavaScript asks for, with everything that the plan points to.
class Launch {
 public:
  explicit Launch(const Napi::CallbackInfo& info)
      : file_(info[0].As<Napi::String>().Utf8Value()), arguments_(Strings(info[1])), variables_(Strings(info[2])) {
    const Napi::Int32Array given = info[3].As<Napi::Int32Array>();
    fds_.assign(given.Data(), given.Data() + given.ElementLength());
    if (!info[4].IsNull()) cwd_ = info[4].As<Napi::String>().Utf8Value();
    const bool announce = info[6].As<Napi::Boolean>().Value();
    const std::string prefix = "LISTEN_PID=";
    if (announce) variables_.push_back(prefix + std::string(16, '\0'));
    argv_ = Pointers(&arguments_);
    envp_ = Pointers(&variables_);
    plan_.file = file_.c_str();
    plan_.argv = argv_.data();
    plan_.env = envp_.data();
    plan_.cwd = info[4].IsNull() ? nullptr : cwd_.c_str();
    plan_.fds = fds_.data();
    plan_.count = static_cast<int>(fds_.size());
    plan_.highest = info[7].As<Napi::Number>().Int32Value();
    plan_.own_group = info[5].As<Napi::Boolean>().Value();
    plan_.pid_digits = announce ? envp_[envp_.size() - 2] + prefix.size() : nullptr;
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  // Copies of the descriptors, for a start that comes later than what else may happen to them.
  int HoldDescriptors() {
    for (int& fd : fds_) {
      const int held = fcntl(fd, F_DUPFD_CLOEXEC, 0);
      if (held < 0) {
        const int error = errno;
        ReleaseDescriptors();
        return -error;
      }
      held_.push_back(held);
      fd = held;
      if (held > plan_.highest) plan_.highest = held;
    }
    return 0;
  }

  void ReleaseDescriptors() {
    for (const int fd : held_) close(fd);
    held_.clear();
  }

  Process Run(bool guarded) { return Start(&plan_, guarded); }

 private:
  std::string file_;
  std::vector<std::string> arguments_;
  std::vector<std::string> variables_;
  std::string cwd_;
  std::vector<int> fds_;
  std::vector<int> held_;
  std::vector<char*> argv_;
  std::vector<char*> envp_;
  Plan plan_ = {};
};

class GuardedStart : public Napi::AsyncWorker {
 public:
  GuardedStart(const Napi::CallbackInfo& info)
      : Napi::AsyncWorker(info.Env()), launch_(info), deferred_(Napi::Promise::Deferred::New(info.Env())) {
    process_.pid = launch_.HoldDescriptors();
  }

  Napi::Promise Promise() { return deferred_.Promise(); }

  void Execute() override {
    if (process_.pid == 0) process_ = launch_.Run(true);
  }

  void OnOK() override {
    launch_.ReleaseDescriptors();
    if (process_.pid < 0) {
      deferred_.Resolve(Napi::Number::New(Env(), process_.pid));
      return;
    }
    Napi::Object out = Napi::Object::New(Env());
    out.Set("pid", Napi::Number::New(Env(), process_.pid));
    out.Set("child", Napi::Number::New(Env(), process_.child));
    deferred_.Resolve(out);
  }

 private:
  Launch launch_;
  Process process_ = {};
  Napi::Promise::Deferred deferred_;
};

}  // namespace

Napi::Value SetNonblock(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return Napi::Number::New(info.Env(), -errno);
  const int wanted = info[1].As<Napi::Boolean>().Value() ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return Napi::Number::New(info.Env(), wanted == flags || fcntl(fd, F_SETFL, wanted) == 0 ? 0 : -errno);
}

Napi::Value StartProcess(const Napi::CallbackInfo& info) {
  Launch launch(info);
  return Napi::Number::New(info.Env(), launch.Run(false).pid);
}

Napi::Value StartGuardedProcess(const Napi::CallbackInfo& info) {
  GuardedStart* start = new GuardedStart(info);  // deletes itself
  const Napi::Promise promise = start->Promise();
  start->Queue();
  return promise;
}

Napi::Value ReapProcess(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int status = 0;
  pid_t pid;
  do pid = waitpid(info[0].As<Napi::Number>().Int32Value(), &status, WNOHANG);
  while (pid < 0 && errno == EINTR);
  if (pid < 0) return Napi::Number::New(env, -errno);
  if (pid == 0) return env.Null();
  Napi::Object out = Napi::Object::New(env);
  out.Set("pid", Napi::Number::New(env, pid));
  out.Set("code", WIFEXITED(status) ? Napi::Number::New(env, WEXITSTATUS(status)) : env.Null());
  out.Set("signal", WIFSIGNALED(status) ? Napi::Number::New(env, WTERMSIG(status)) : env.Null());
  return out;
}

Napi::Value BecomeSubreaper(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 ? 0 : -errno);
}

Napi::Value BorrowFd(const Napi::CallbackInfo& info) {
  const int pid = info[0].As<Napi::Number>().Int32Value();
  const int fd = info[1].As<Napi::Number>().Int32Value();
  const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (process < 0) return Napi::Number::New(info.Env(), -errno);
  const long borrowed = syscall(SYS_pidfd_getfd, process, fd, 0);  // with FD_CLOEXEC
  const int error = errno;
  close(process);
  return Napi::Number::New(info.Env(), borrowed < 0 ? -error : static_cast<int>(borrowed));
}

Napi::Value ListenerOwner(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  ucred owner = {};
  socklen_t length = sizeof(owner);
  if (getsockopt(info[0].As<Napi::Number>().Int32Value(), SOL_SOCKET, SO_PEERCRED, &owner, &length) != 0) {
    return Napi::Number::New(env, -errno);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("pid", Napi::Number::New(env, owner.pid));
  out.Set("uid", Napi::Number::New(env, owner.uid));
  out.Set("gid", Napi::Number::New(env, owner.gid));
  return out;
}
