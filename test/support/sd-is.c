// Both sides of the comparison with libsystemd.
//
//   sd-is open DIRECTORY COMMAND...   opens one descriptor of every kind from number 10 on, lists them, runs COMMAND
//   sd-is answer < CASES              prints what sd_is_*(3) return, a line for each case
//
// A case is `call fd arguments...`; a string is hexadecimal, `-` stands for NULL.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static int next = 10;

// Prints `label fd port`, which is how the test learns what it may ask about.
static void keep(const char *label, int fd) {
  if (fd < 0) {
    fprintf(stderr, "%s: %s\n", label, strerror(errno));
    return;
  }
  if (dup2(fd, next) < 0) _exit(1);
  close(fd);
  struct sockaddr_in6 name = {0};
  socklen_t size = sizeof(name);
  int port = 0;
  if (getsockname(next, (struct sockaddr *)&name, &size) == 0 &&
      (name.sin6_family == AF_INET || name.sin6_family == AF_INET6)) {
    port = ntohs(name.sin6_port);
  }
  printf("%s %d %d\n", label, next++, port);
}

static int bound(int family, int type, const void *address, socklen_t size, int listening) {
  int fd = socket(family, type, 0);
  if (fd < 0) return fd;
  if (address && bind(fd, address, size) != 0) {
    close(fd);
    return -1;
  }
  if (listening && listen(fd, 16) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

static int in4(const char *ip, int type, int listening) {
  struct sockaddr_in a = {.sin_family = AF_INET};
  inet_pton(AF_INET, ip, &a.sin_addr);
  return bound(AF_INET, type, &a, sizeof(a), listening);
}

static int in6(const char *ip, const char *interface, int type, int listening) {
  struct sockaddr_in6 a = {.sin6_family = AF_INET6};
  inet_pton(AF_INET6, ip, &a.sin6_addr);
  if (interface) a.sin6_scope_id = if_nametoindex(interface);
  return bound(AF_INET6, type, &a, sizeof(a), listening);
}

static int un(const char *path, size_t length, int type, int listening) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  memcpy(a.sun_path, path, length);
  return bound(AF_UNIX, type, &a, offsetof(struct sockaddr_un, sun_path) + length, listening);
}

// sd_is_mq(3) looks below /dev/mqueue, which a container or a small machine may lack: mounted where only we see it.
static void mount_queues(void) {
  if (access("/dev/mqueue", F_OK) == 0 || unshare(CLONE_NEWNS) != 0) return;
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("tmpfs", "/dev", "tmpfs", 0, NULL) != 0) return;
  mkdir("/dev/mqueue", 0755);
  mount("mqueue", "/dev/mqueue", "mqueue", 0, NULL);
  mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3));
  mknod("/dev/zero", S_IFCHR | 0666, makedev(1, 5));
  mknod("/dev/nul2", S_IFCHR | 0666, makedev(1, 3));
}

static int open_all(char *directory, char **command) {
  mount_queues();
  if (chdir(directory) != 0) return 1;
  keep("tcp4", in4("127.0.0.1", SOCK_STREAM, 1));
  keep("tcp4-any", in4("0.0.0.0", SOCK_STREAM, 1));
  keep("tcp4-bound", in4("127.0.0.1", SOCK_STREAM, 0));
  keep("tcp4-fresh", socket(AF_INET, SOCK_STREAM, 0));
  keep("tcp6", in6("::1", NULL, SOCK_STREAM, 1));
  keep("tcp6-any", in6("::", NULL, SOCK_STREAM, 1));
  keep("tcp6-link", in6("fe80::fc:ff:fe00:1", "eth0", SOCK_STREAM, 1));
  keep("udp4", in4("127.0.0.1", SOCK_DGRAM, 0));
  keep("udp6", in6("::1", NULL, SOCK_DGRAM, 0));
  keep("unix", un("s", 1, SOCK_STREAM, 1));
  char path[108];
  snprintf(path, sizeof(path), "%s/stream", directory);
  keep("unix-path", un(path, strlen(path), SOCK_STREAM, 1));
  keep("unix-nul", un("with-nul\0", 9, SOCK_DGRAM, 0));
  char abstract[64];
  int length = snprintf(abstract, sizeof(abstract), "%clistenfds-test-%d", 0, getpid());
  keep("unix-abstract", un(abstract, length, SOCK_STREAM, 1));
  keep("unix-seqpacket", un("packets", 7, SOCK_SEQPACKET, 1));
  keep("unix-fresh", socket(AF_UNIX, SOCK_DGRAM, 0));
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) {
    keep("pair-a", pair[0]);
    keep("pair-b", pair[1]);
  }
  // A connected TCP socket, whose other end waits in the accept queue of descriptor 10.
  struct sockaddr_in there;
  socklen_t size = sizeof(there);
  getsockname(10, (struct sockaddr *)&there, &size);
  int client = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(client, (struct sockaddr *)&there, size) == 0) keep("tcp4-connected", client);
  keep("netlink", socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
  keep("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  keep("raw", socket(AF_PACKET, SOCK_RAW, 0));
  if (mkfifo("fifo", 0600) == 0 && mkfifo("other-fifo", 0600) == 0) keep("fifo", open("fifo", O_RDWR | O_NONBLOCK));
  if (pipe(pair) == 0) {
    keep("pipe-read", pair[0]);
    keep("pipe-write", pair[1]);
  }
  keep("file", open("file", O_RDWR | O_CREAT, 0600));
  close(open("other-file", O_RDWR | O_CREAT, 0600));
  keep("file-path", open("file", O_PATH));
  keep("directory", open(".", O_RDONLY | O_DIRECTORY));
  keep("null", open("/dev/null", O_RDWR));
  keep("memfd", memfd_create("m", 0));
  keep("epoll", epoll_create1(0));
  keep("eventfd", eventfd(0, 0));
  char queue[64];
  snprintf(queue, sizeof(queue), "/listenfds-test-%d", getpid());
  keep("mqueue", mq_open(queue, O_RDWR | O_CREAT, 0600, NULL));
  printf("pid %d 0\n", getpid());
  fflush(stdout);
  // The queue outlives every descriptor, so somebody stays behind to remove it.
  pid_t child = fork();
  if (child == 0) {
    execvp(command[0], command);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  mq_unlink(queue);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// The word after the last one, or NULL.
static char *word(void) { return strtok(NULL, " \n"); }
static int number(void) { return atoi(word()); }

// Decodes in place; the result ends in a NUL that does not count.
static char *text(size_t *length) {
  char *hex = word();
  *length = 0;
  if (strcmp(hex, "-") == 0) return NULL;
  if (*hex == '=') hex++;  // `=` alone is the empty string
  size_t n = strlen(hex) / 2;
  static char bytes[4096];
  for (size_t i = 0; i < n; i++) sscanf(hex + 2 * i, "%2hhx", &bytes[i]);
  bytes[n] = 0;
  *length = n;
  return bytes;
}

static int sockaddr_case(int fd) {
  int type = number(), listening = number(), family = number();
  size_t length;
  char *ip = text(&length);
  int port = number(), flow = number(), scope = number();
  struct sockaddr_in a4 = {.sin_family = family, .sin_port = htons(port)};
  struct sockaddr_in6 a6 = {
      .sin6_family = family, .sin6_port = htons(port), .sin6_flowinfo = htonl(flow), .sin6_scope_id = scope};
  if (!ip) return sd_is_socket_sockaddr(fd, type, NULL, 0, listening);
  if (family == AF_INET) {
    inet_pton(AF_INET, ip, &a4.sin_addr);
    return sd_is_socket_sockaddr(fd, type, (void *)&a4, sizeof(a4), listening);
  }
  if (family == AF_INET6) inet_pton(AF_INET6, ip, &a6.sin6_addr);
  return sd_is_socket_sockaddr(fd, type, (void *)&a6, sizeof(a6), listening);
}

static int answer(const char *call) {
  int fd = number();
  size_t length;
  if (strcmp(call, "socket") == 0) {
    int family = number(), type = number(), listening = number();
    return sd_is_socket(fd, family, type, listening);
  }
  if (strcmp(call, "inet") == 0) {
    int family = number(), type = number(), listening = number(), port = number();
    return sd_is_socket_inet(fd, family, type, listening, port);
  }
  if (strcmp(call, "unix") == 0) {
    int type = number(), listening = number();
    char *path = text(&length);
    return sd_is_socket_unix(fd, type, listening, path, length);
  }
  if (strcmp(call, "sockaddr") == 0) return sockaddr_case(fd);
  char *path = text(&length);
  if (strcmp(call, "fifo") == 0) return sd_is_fifo(fd, path);
  if (strcmp(call, "special") == 0) return sd_is_special(fd, path);
  if (strcmp(call, "mq") == 0) return sd_is_mq(fd, path);
  abort();
}

int main(int argc, char **argv) {
  if (argc > 3 && strcmp(argv[1], "open") == 0) return open_all(argv[2], argv + 3);
  char line[8192];
  while (fgets(line, sizeof(line), stdin)) printf("%d\n", answer(strtok(line, " \n")));
  return 0;
}
