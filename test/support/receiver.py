"""Stands in for a service manager: receives what is sent to NOTIFY_SOCKET and prints one JSON object per message.

usage: receiver.py ADDRESS     (a path, @abstract, or vsock-stream:CID:PORT)

Commands on standard input, each answered with {"done": COMMAND}: `pause` and `resume` stop and start the reading;
`hold` keeps the descriptors of later messages open until `release`, which closes all that are kept.
"""

import array
import json
import os
import select
import socket
import stat
import struct
import sys


def listen(address):
    if address.startswith("vsock"):
        _, cid, port = address.split(":")
        s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        s.bind((int(cid), int(port)))
        s.listen()
        return s
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind("\0" + address[1:] if address[0] == "@" else address)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    if address[0] != "@":
        os.chmod(address, 0o666)
    return s


def describe(fd):
    status = os.fstat(fd)
    return {"inode": str(status.st_ino), "device": str(status.st_dev), "type": stat.S_IFMT(status.st_mode) >> 12}


def receive(s):
    if s.family == socket.AF_VSOCK:
        connection, _ = s.accept()
        text = b""
        while more := connection.recv(65536):
            text += more
        return {"text": text.decode()}, []
    text, ancillary, _, _ = s.recvmsg(65536, 65536)
    message, fds = {"text": text.decode()}, array.array("i")
    for level, kind, value in ancillary:
        if kind == socket.SCM_CREDENTIALS:
            message["pid"], message["uid"], message["gid"] = struct.unpack("3i", value)
        elif kind == socket.SCM_RIGHTS:
            fds.frombytes(value)
    message["fds"] = [describe(fd) for fd in fds]
    return message, list(fds)


def main():
    s = listen(sys.argv[1])
    reading, holding, held = True, False, []
    say = lambda value: print(json.dumps(value), flush=True)
    say({"done": "listen"})
    commands = b""
    while True:
        ready, _, _ = select.select([0, s] if reading else [0], [], [])
        if 0 in ready:
            more = os.read(0, 4096)
            if not more:
                return
            commands += more
            *lines, commands = commands.split(b"\n")
            for command in (line.decode() for line in lines):
                if command in ("pause", "resume"):
                    reading = command == "resume"
                elif command == "hold":
                    holding = True
                elif command == "release":
                    for fd in held:
                        os.close(fd)
                    held, holding = [], False
                say({"done": command})
        elif s in ready:
            message, fds = receive(s)
            held += fds
            if not holding:
                for fd in fds:
                    os.close(fd)
                    held.remove(fd)
            say(message)


main()
