"""Programs on terminals: what a person would type, and would see."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command, environment, folder=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            if folder:
                os.chdir(folder)
            os.execvpe(command[0], command, environment)
        self.said = b""

    def type(self, data):
        os.write(self.fd, data)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def expect(self, pattern, timeout_s=60):
        """Read until `pattern` is there; the match."""
        until_s = time.monotonic() + timeout_s
        while not (found := re.search(pattern, self.said)):
            more = self._read(max(0, until_s - time.monotonic()))
            assert more, f"{pattern!r} does not come: {self.said!r}"
        self.said = self.said[found.end() :]
        return found

    def _read(self, timeout_s):
        if not select.select([self.fd], [], [], timeout_s)[0]:
            return False
        try:
            self.said += os.read(self.fd, 65536)
        except OSError:
            return False
        return True

    def end(self, timeout_s=60):
        """The exit code, once it has ended."""
        until_s = time.monotonic() + timeout_s
        while self._read(max(0, until_s - time.monotonic())):
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return code

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
