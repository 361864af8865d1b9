"""Opens descriptors at chosen numbers and becomes another program, as a service manager does between fork and exec.

usage: open.py '{"3": "tcp()", "5": "unix(\\"/tmp/a.sock\\")"}' PROGRAM [ARGUMENT...]

For what node:net cannot open, and for listeners that no event loop of the test may accept from.
"""

import ctypes
import fcntl
import json
import os
import resource
import select
import socket
import sys

MPTCP = 262


def _inet(kind, protocol, host, port, backlog, v6only, reuseport):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind, protocol)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuseport:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if ":" in host:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    host, _, zone = host.partition("%")
    s.bind((host, port, 0, socket.if_nametoindex(zone)) if zone else (host, port))
    if backlog is not None:
        s.listen(backlog)
    return s


def tcp(host="127.0.0.1", port=0, backlog=128, v6only=0, reuseport=0):
    return _inet(socket.SOCK_STREAM, 0, host, port, backlog, v6only, reuseport)


def mptcp(host="127.0.0.1", port=0, backlog=128, v6only=0):
    return _inet(socket.SOCK_STREAM, MPTCP, host, port, backlog, v6only, 0)


def udp(host="127.0.0.1", port=0, v6only=0):
    return _inet(socket.SOCK_DGRAM, 0, host, port, None, v6only, 0)


def connected_udp():
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(udp().getsockname())
    return client


def _unix(kind, path, backlog):
    s = socket.socket(socket.AF_UNIX, kind)
    if path is not None:
        s.bind(("\0" + path[1:]) if path.startswith("@") else path)
    if backlog is not None:
        s.listen(backlog)
    return s


def unix(path=None, backlog=128):
    return _unix(socket.SOCK_STREAM, path, backlog)


def unix_seqpacket(path=None, backlog=128):
    return _unix(socket.SOCK_SEQPACKET, path, backlog)


def unix_dgram(path=None):
    return _unix(socket.SOCK_DGRAM, path, None)


_kept = []


def connected(kind=socket.SOCK_STREAM):
    """One end of a pair; the other stays open as long as the program runs."""
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    _kept.append(fcntl.fcntl(other.detach(), fcntl.F_DUPFD, 1000))
    return one


def accepted(host="127.0.0.1"):
    """What Accept=yes passes: a connection, its peer kept open."""
    listener = tcp(host)
    client = socket.create_connection(listener.getsockname()[:2])
    _kept.append(fcntl.fcntl(client.detach(), fcntl.F_DUPFD, 1000))
    return listener.accept()[0]


def queued(listener, count=1):
    """A listener with connections that nobody has accepted yet."""
    for _ in range(count):
        client = socket.socket(listener.family, listener.type)
        client.connect(listener.getsockname())
        _kept.append(fcntl.fcntl(client.detach(), fcntl.F_DUPFD, 1000))
    return listener


def moved(listener, path):
    """A listener whose path was renamed after it was bound."""
    os.rename(listener.getsockname(), path)
    return listener


def port_of(number):
    """The port of what an earlier expression opened."""
    with socket.socket(fileno=os.dup(opened[number])) as s:
        return s.getsockname()[1]


def netlink(protocol=15, groups=1):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    s.bind((0, groups))
    return s


def vsock(port=0xFFFFFFFF, cid=0xFFFFFFFF, backlog=128):
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    s.bind((cid, port))
    s.listen(backlog)
    return s


def fifo(path):
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def special(path, flags=os.O_RDONLY):
    return os.open(path, flags)


def mqueue(name, maxmsg=4, msgsize=64):
    class Attributes(ctypes.Structure):
        _fields_ = [(n, ctypes.c_long) for n in ("flags", "maxmsg", "msgsize", "curmsgs", "a", "b", "c", "d")]

    library = ctypes.CDLL(None, use_errno=True)
    attributes = Attributes(0, maxmsg, msgsize)
    fd = library.mq_open(name.encode(), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, ctypes.byref(attributes))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "mq_open")
    library.mq_unlink(name.encode())
    return fd


def eventfd():
    return os.eventfd(0)


def epoll():
    e = select.epoll()
    _kept.append(e)
    return e


opened = {}


def main():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wanted, program = json.loads(sys.argv[1]), sys.argv[2:]
    # First all are opened, well above the numbers they are for, so that none takes the place of another.
    for number, expression in wanted.items():
        made = eval(expression)
        fd = made if isinstance(made, int) else made.fileno()
        opened[int(number)] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 2000)
        made.close() if hasattr(made, "close") else os.close(fd)
    for number, fd in opened.items():
        os.dup2(fd, number, inheritable=True)
    os.execvp(program[0], program)


main()
