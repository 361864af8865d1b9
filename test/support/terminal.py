"""Runs a program on a terminal of its own, as a person would: usage: terminal.py PATTERN KEYS PROGRAM [ARGUMENT...]

What the terminal shows goes to standard output; when PATTERN has been shown, KEYS are typed, or without any the terminal is closed.
The last line is `exit N` or
`signal N`.
"""

import os
import pty
import sys

pattern, keys, program = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(program[0], program)

shown = b""
typed = False
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:  # EIO: the last one who had the terminal open is gone
        break
    if not data:
        break
    os.write(1, data)
    shown += data
    if not typed and pattern in shown:
        if not keys:
            os.close(terminal)
            break
        os.write(terminal, keys)
        typed = True

_, status = os.waitpid(pid, 0)
print("signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "exit %d" % os.WEXITSTATUS(status))
