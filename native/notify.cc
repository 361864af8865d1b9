#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// Headers of older kernels need <sys/socket.h> before this one.
#include <linux/vm_sockets.h>

#include <string>

namespace {

constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
// SCM_MAX_FD of the kernel.
constexpr uint32_t kMostDescriptors = 253;
// As much unread text as the C library allows for; the kernel caps it at net.core.wmem_max.
constexpr int kSendBuffer = 8 << 20;
// Between the attempts to get into a full queue: 3.75 ms in all. The first retry is immediate, on a new socket.
constexpr long kPausesNs[] = {0, 250000, 500000, 1000000, 2000000};
constexpr int kVsockConnectMs = 50;

// One datagram socket, never connected: every send looks the receiver up anew, so a manager that re-created its socket
// is found, and the credentials are those of the moment of sending. Whatever closed our number behind our back may have
// given it to somebody else: the cookie, unique among all sockets since boot, says whether it is still ours.
class Sender {
 public:
  ~Sender() { Forget(true); }

  // The socket, or -errno.
  int Acquire() {
    if (fd_ >= 0) {
      uint64_t cookie = 0;
      if (ReadCookie(fd_, &cookie) && cookie == cookie_) return fd_;
      Forget(false);
    }
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof(kSendBuffer));
    fd_ = fd;
    known_ = ReadCookie(fd, &cookie_);
    return fd;
  }

  // After use: kept where the next call can tell that it is still ours.
  void Release() {
    if (!known_) Forget(true);
  }

  void Forget(bool close_it) {
    if (fd_ >= 0 && close_it) close(fd_);
    fd_ = -1;
  }

 private:
  static bool ReadCookie(int fd, uint64_t* cookie) {
    socklen_t length = sizeof(*cookie);
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &length) == 0;
  }

  int fd_ = -1;
  uint64_t cookie_ = 0;
  bool known_ = false;
};

// The UTF-8 of a JavaScript string, on the stack unless it is long: a message has at most 4 KiB.
class Text {
 public:
  Text(Napi::Env env, napi_value value) {
    napi_get_value_string_utf8(env, value, short_, sizeof(short_), &size_);
    if (size_ < sizeof(short_) - 4) return;  // it may have been cut off, at a whole character
    long_ = Napi::String(env, value).Utf8Value();
    size_ = long_.size();
  }
  char* data() { return long_.empty() ? short_ : &long_[0]; }
  size_t size() const { return size_; }

 private:
  char short_[4200];
  size_t size_ = 0;
  std::string long_;
};

// Room for both kinds of ancillary data, aligned as CMSG_FIRSTHDR wants it.
union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kMostDescriptors) + CMSG_SPACE(sizeof(ucred))];
};

void* AddControl(msghdr* message, size_t used, int type, size_t size) {
  auto* header = reinterpret_cast<cmsghdr*>(static_cast<char*>(message->msg_control) + used);
  memset(header, 0, CMSG_SPACE(size));  // the padding goes to the kernel as well
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(size);
  message->msg_controllen = used + CMSG_SPACE(size);
  return CMSG_DATA(header);
}

// Whether the kernel's own view of the sender is not what the receiver should see, as in the C library.
bool NeedsCredentials(pid_t pid) { return pid != 0 || getuid() != geteuid() || getgid() != getegid(); }

// Returns 0 or -errno.
int Send(int fd, msghdr* message) {
  ssize_t sent;
  do {
    sent = sendmsg(fd, message, kSendFlags);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return -errno;
  return static_cast<size_t>(sent) == message->msg_iov->iov_len ? 0 : -EIO;
}

Napi::Value NotifyUnix(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto* sender = static_cast<Sender*>(info.Data());
  Text state(env, info[1]);
  const pid_t pid = info[3].As<Napi::Number>().Int32Value();

  // unix(7): a path is sent with its NUL, an abstract name without one. One byte more tells what does not fit.
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  char path[sizeof(address.sun_path) + 2];
  size_t path_size = 0;
  napi_get_value_string_utf8(env, info[0], path, sizeof(path), &path_size);
  const bool abstract = path[0] == '\0';
  if (path_size == 0) return Napi::Number::New(env, -EINVAL);
  if (path_size + (abstract ? 0 : 1) > sizeof(address.sun_path)) return Napi::Number::New(env, -ENAMETOOLONG);
  memcpy(address.sun_path, path, path_size);

  Control control;
  iovec text = {state.data(), state.size()};
  msghdr message = {};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_size + (abstract ? 0 : 1));
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  if (info[2].IsArray()) {
    Napi::Array fds = info[2].As<Napi::Array>();
    const uint32_t count = fds.Length();
    if (count > kMostDescriptors) return Napi::Number::New(env, -E2BIG);
    if (count > 0) {
      auto* out = static_cast<int*>(AddControl(&message, 0, SCM_RIGHTS, sizeof(int) * count));
      for (uint32_t i = 0; i < count; i++) out[i] = Napi::Value(fds[i]).As<Napi::Number>().Int32Value();
    }
  }
  const size_t without_credentials = message.msg_controllen;
  bool with_credentials = NeedsCredentials(pid);
  if (with_credentials) {
    ucred credentials = {pid != 0 ? pid : getpid(), getuid(), getgid()};
    memcpy(AddControl(&message, without_credentials, SCM_CREDENTIALS, sizeof(credentials)), &credentials,
           sizeof(credentials));
  }

  int result = 0;
  for (const long pause : kPausesNs) {
    if (pause > 0) {
      const timespec duration = {0, pause};
      nanosleep(&duration, nullptr);
    }
    const int fd = sender->Acquire();
    if (fd < 0) return Napi::Number::New(env, fd);
    result = Send(fd, &message);
    if (result < 0 && result != -EAGAIN && with_credentials) {
      // Not allowed to speak for that process: the manager then sees us, as it does with the C library.
      with_credentials = false;
      message.msg_controllen = without_credentials;
      result = Send(fd, &message);
    }
    if (result != -EAGAIN) break;
    // Unread messages count against the socket that sent them; a new one starts from zero.
    sender->Forget(true);
  }
  sender->Release();
  return Napi::Number::New(env, result);
}

bool NotSupported(int error) {
  return error == -EOPNOTSUPP || error == -ENODEV || error == -ESOCKTNOSUPPORT || error == -EPROTONOSUPPORT ||
         error == -EAFNOSUPPORT || error == -EPFNOSUPPORT || error == -ENOPROTOOPT || error == -ENOTTY ||
         error == -ENOSYS;
}

// Returns 0 or -errno.
int ConnectVsock(int fd, const sockaddr_vm& address) {
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return 0;
  if (errno != EINPROGRESS) return -errno;
  pollfd wait = {fd, POLLOUT, 0};
  int ready;
  do {
    ready = poll(&wait, 1, kVsockConnectMs);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return -errno;
  if (ready == 0) return -ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return -errno;
  return -error;
}

// A socket that reaches `address`, or -errno.
int OpenVsock(const sockaddr_vm& address, int type) {
  const int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  // A privileged port tells the other side that root speaks. Whoever is not root goes on with an ordinary one.
  sockaddr_vm local = {};
  local.svm_family = AF_VSOCK;
  local.svm_cid = VMADDR_CID_ANY;
  int result = 0;
  for (unsigned port = 1023; port > 0; port--) {
    local.svm_port = port;
    result = bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof(local)) == 0 ? 0 : -errno;
    if (result != -EADDRINUSE) break;
  }
  if (result == -EACCES || result == -EPERM) result = 0;
  if (result == 0) result = ConnectVsock(fd, address);
  if (result == 0) return fd;
  close(fd);
  return result;
}

int SendVsock(const sockaddr_vm& address, int type, char* text, size_t size) {
  // The machine monitors differ in which types they carry; without one asked for, take the first that there is. Some
  // only say so when it comes to connecting.
  static constexpr int kTypes[] = {SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
  int fd = -EPROTONOSUPPORT;
  for (const int candidate : kTypes) {
    if (type != 0 && type != candidate) continue;
    fd = OpenVsock(address, candidate);
    if (fd >= 0 || !NotSupported(fd)) break;
  }
  if (fd < 0) return fd;
  iovec part = {text, size};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const int result = Send(fd, &message);
  close(fd);
  return result;
}

Napi::Value NotifyVsock(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = info[0].As<Napi::Number>().Uint32Value();
  address.svm_port = info[1].As<Napi::Number>().Uint32Value();
  Text state(env, info[3]);
  return Napi::Number::New(env,
                           SendVsock(address, info[2].As<Napi::Number>().Int32Value(), state.data(), state.size()));
}

Napi::Value Pipe(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return Napi::Number::New(env, -errno);
  Napi::Array out = Napi::Array::New(env, 2);
  out.Set(0u, Napi::Number::New(env, ends[0]));
  out.Set(1u, Napi::Number::New(env, ends[1]));
  return out;
}

}  // namespace

void ExportNotify(Napi::Object exports) {
  Napi::Env env = exports.Env();
  // One socket per addon instance, closed with it: a worker thread that ends leaves none behind.
  auto* sender = new Sender;
  napi_add_env_cleanup_hook(
      env, [](void* data) { delete static_cast<Sender*>(data); }, sender);
  exports.Set("notifyUnix", Napi::Function::New(env, NotifyUnix, "notifyUnix", sender));
  exports.Set("notifyVsock", Napi::Function::New(env, NotifyVsock, "notifyVsock"));
  exports.Set("pipe", Napi::Function::New(env, Pipe, "pipe"));
}
