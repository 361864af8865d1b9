// The socket that messages to the service manager go out of.
#ifndef LISTENFDS_NATIVE_SENDER_H_
#define LISTENFDS_NATIVE_SENDER_H_

#include <stdint.h>

// One datagram socket, never connected: every send looks the receiver up anew, so a manager that re-created its socket
// is found, and the credentials are those of the moment of sending. Whatever closed our number behind our back may have
// given it to somebody else: the cookie, unique among all sockets since boot, says whether it is still ours.
class Sender {
 public:
  Sender() = default;
  ~Sender() { Forget(true); }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // The socket, or -errno.
  int Acquire();
  // After use: kept if the next call can tell that it is still ours.
  void Release();
  void Forget(bool close_it);

 private:
  int fd_ = -1;
  uint64_t cookie_ = 0;
  bool known_ = false;
};

#endif  // LISTENFDS_NATIVE_SENDER_H_
