// Descriptors that close slowly.

/**
 * Python that makes a TCP connection with SO_LINGER and unsent data, `c, p = lingering(seconds)`: whoever closes `c` last
 * waits for so long, as long as `p` is open.
 */
export const lingering = `
import array, os, socket, struct, sys, threading
def lingering(seconds):
    l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); l.bind(('127.0.0.1', 0)); l.listen(1)
    c = socket.socket(); c.connect(l.getsockname()); p, _ = l.accept(); c.setblocking(False)
    try:
        while True: c.send(b'x' * 65536)
    except BlockingIOError: pass
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, seconds))
    return c, p
def send(u, data, c):
    u.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [c.fileno()]))])
`;
