#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "end-as.h"

// A number that the headers of Debian 10 lack; the same on every architecture.
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

namespace {

constexpr unsigned kCloseRangeCloexec = 1U << 2;

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

// Between fork(2) and execve(2) only calls that signal-safety(7) allows: another thread may hold any lock.
int BecomeProgram(Plan* plan) {
  // Node ignores SIGPIPE, and an ignored signal stays so in the program.
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &standard, nullptr);
  if (plan->own_group && setpgid(0, 0) != 0) return errno;

  // Out of the way first: a source may have the number of another one's target.
  const int free = plan->count + 1;
  // Until there is another, the old one tells the error.
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

// Messages of the report pipe; at most PIPE_BUF, so that two writers do not mix.
struct Report {
  pid_t pid;  // of the program, if a guard has started it
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
// and so its reaper's child, a service manager's for example. Nothing of the caller's stays open here, nor in memory.
[[noreturn]] void Guard(Plan* plan, pid_t caller) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != caller) _exit(127);
  const int report = plan->report;  // vfork(2): the program changes its memory
  const int highest = plan->highest;
  const pid_t pid = vfork();
  if (pid == 0) RunProgram(plan);
  Tell(report, pid < 0 ? Report{0, errno} : Report{pid, 0});
  if (syscall(SYS_close_range, 0, UINT_MAX, 0) != 0) {
    for (int fd = 0; fd <= highest; fd++) close(fd);
  }
  if (pid < 0) _exit(127);
  prctl(PR_SET_DUMPABLE, 0);  // one core is enough
  for (int signal = 1; signal < NSIG; signal++) {
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);
  }
  EndAs(pid);
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

// What JavaScript asks for, with everything that the plan points to. All zero: nothing asked for yet.
struct Launch {
  Plan plan;
  Memory memory;
  int held;  // how many of plan.fds are ours
};

constexpr char kPid[] = "LISTEN_PID=";
constexpr size_t kPidDigits = 16;

// The arguments of a call. They are the launch's from then on, for it may outlive the call. False if there
// is no memory.
bool Prepare(Call& call, Launch* launch) {
  const Argument& arguments = call[1];
  const Argument& variables = call[2];
  const Argument& fds = call[3];
  Plan* plan = &launch->plan;
  const bool announce = call.Flag(6);
  char** env = static_cast<char**>(call.memory.Get((variables.size + 2) * sizeof(char*)));
  plan->fds = static_cast<int*>(call.memory.Get(fds.size * sizeof(int)));
  char* pid = static_cast<char*>(call.memory.Get(sizeof(kPid) + kPidDigits));
  if (env == nullptr || plan->fds == nullptr || pid == nullptr) return false;
  if (fds.size > 0) memcpy(plan->fds, fds.data, fds.size * sizeof(int));
  memcpy(env, variables.data, variables.size * sizeof(char*));
  memcpy(pid, kPid, sizeof(kPid));
  env[variables.size] = announce ? pid : nullptr;
  env[variables.size + 1] = nullptr;
  plan->file = call.Name(0);
  plan->argv = static_cast<char**>(arguments.data);
  plan->env = env;
  plan->cwd = call.Null(4) ? nullptr : call.Name(4);
  plan->count = static_cast<int>(fds.size);
  plan->own_group = call.Flag(5);
  plan->pid_digits = announce ? pid + strlen(kPid) : nullptr;
  plan->highest = call.Int(7);
  launch->memory.Take(&call.memory);
  return true;
}

void ReleaseDescriptors(Launch* launch) {
  for (int i = 0; i < launch->held; i++) close(launch->plan.fds[i]);
  launch->held = 0;
}

// Copies of the descriptors, for a start that comes later than other changes to them. Returns 0 or -errno.
int HoldDescriptors(Launch* launch) {
  Plan* plan = &launch->plan;
  for (; launch->held < plan->count; launch->held++) {
    int* fd = &plan->fds[launch->held];
    const int held = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
    if (held < 0) {
      const int error = errno;
      ReleaseDescriptors(launch);
      return -error;
    }
    *fd = held;
    if (held > plan->highest) plan->highest = held;
  }
  return 0;
}

struct GuardedStart {
  Napi::Promise::Deferred deferred;
  napi_async_work work = nullptr;
  Launch launch = {};
  Process process = {};
};

// In a thread of its own.
void Execute(napi_env, void* data) {
  GuardedStart* start = static_cast<GuardedStart*>(data);
  if (start->process.pid == 0) start->process = Start(&start->launch.plan, true);
}

void Free(napi_env env, GuardedStart* start) {
  ReleaseDescriptors(&start->launch);
  start->launch.memory.Free();
  if (start->work != nullptr) napi_delete_async_work(env, start->work);
  delete start;
}

void Complete(napi_env env, napi_status, void* data) {
  GuardedStart* start = static_cast<GuardedStart*>(data);
  Call call(env);
  Napi::HandleScope scope(env);
  Napi::Value result;
  if (start->process.pid < 0) {
    result = call.Number(start->process.pid);
  } else {
    Record out(env);
    out.SetNumber("pid", start->process.pid);
    out.SetNumber("child", start->process.child);
    result = out;
  }
  start->deferred.Resolve(result);
  Free(env, start);
}

}  // namespace

Napi::Value StartProcess(Call& call) {
  Launch launch = {};
  const pid_t pid = Prepare(call, &launch) ? Start(&launch.plan, false).pid : -ENOMEM;
  launch.memory.Free();
  return call.Number(pid);
}

Napi::Value StartGuardedProcess(Call& call) {
  GuardedStart* start = new GuardedStart{Napi::Promise::Deferred::New(call.env)};
  Napi::Value promise = start->deferred.Promise();
  start->process.pid = Prepare(call, &start->launch) ? HoldDescriptors(&start->launch) : -ENOMEM;
  Napi::String name = Napi::String::New(call.env, "listenfds.start");
  if (napi_create_async_work(call.env, nullptr, name, Execute, Complete, start, &start->work) != napi_ok ||
      napi_queue_async_work(call.env, start->work) != napi_ok) {
    start->deferred.Resolve(call.Number(-ENOMEM));
    Free(call.env, start);
  }
  return promise;
}
