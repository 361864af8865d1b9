// Closes descriptors in a thread of its own. The last close of a descriptor that somebody else has sent can stand still
// for as long as its sender likes: a TCP connection with SO_LINGER and unsent data, a file of a file system that the
// sender serves, a unix socket in whose queue there is one of these.
#ifndef LISTENFDS_NATIVE_CLOSER_H_
#define LISTENFDS_NATIVE_CLOSER_H_

#include <stddef.h>

class Closer {
 public:
  Closer() = default;
  // Nothing waits for the thread: it closes the descriptors it has been given and ends.
  ~Closer();
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;

  // Takes `fd` over. If there is no thread to be had, it closes it here.
  void Close(int fd);
  // The same, and waits until it is closed, but not for longer than it takes when nothing stands in the way: for a
  // socket whose name somebody may want to bind next.
  void CloseSoon(int fd);
  // How many descriptors may be received for it now: each that waits for the thread takes one of the process.
  size_t Room() const;
  bool IsBusy() const { return Waiting() > 0; }

 private:
  bool Start();
  size_t Waiting() const;

  int pipe_ = -1;  // the write end of a pipe, in which the numbers wait
};

#endif  // LISTENFDS_NATIVE_CLOSER_H_
