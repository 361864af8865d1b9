// Whatever the kernel answers about a queue: TCP_INFO of any length, and netlink messages of sock_diag.
#include "accept-queue-answer.h"

#include <stdint.h>
#include <string.h>

#include "check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Exact bytes(data, size);
  AcceptQueue tcp;
  ReadTcpInfo(bytes.data(), size, &tcp);
  if (size < 32) CHECK(!tcp.known);

  AcceptQueue queue;
  BoundInode bound;
  ReadUnixDiag(bytes.data(), size, &queue, &bound);
  if (size < 32) CHECK(!queue.known && !bound.known);
  CHECK(bound.device_major < 1u << 12 && bound.device_minor < 1u << 20);
  return 0;
}
