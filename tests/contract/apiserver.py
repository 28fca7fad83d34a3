"""The Kubernetes door alone, over TLS on a free port, in a thread; pods do not run, their streams are programs here."""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from ipaddress import IPv4Address

import yaml

from coracle.core.clock import SystemClock
from coracle.core.collection import Collection
from coracle.core.errors import Invalid
from coracle.core.object import Meta, Object
from coracle.core.store import MemoryStore
from coracle.core.tasks import running
from coracle.kube.api.door import Insides, door
from coracle.kube.kinds import guards
from coracle.kube.kinds.accounttokens import Issuer
from coracle.kube.kinds.catalogue import kinds
from coracle.kube.scheduler.classes import ensure_classes
from coracle.node.kubeconfig import render_kubeconfig
from coracle.node.pki import ensure_pki
from coracle.testing.metering import NoMeter
from coracle.testing.signing import PlainSigner
from coracle.web.listeners import Tcp
from coracle.web.server import Server
from coracle.web.tls import server_context


class LocalProcess:
    """An Execution that is a program of this machine."""

    def __init__(self, argv, tty):
        self._queue, self._tty = asyncio.Queue(), tty
        self._loop = asyncio.get_running_loop()
        if tty:
            self._master, slave = pty.openpty()
            pipes = {"stdin": slave, "stdout": slave, "stderr": slave}
        else:
            pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = self._process = subprocess.Popen(argv, start_new_session=True, bufsize=0, **pipes)
        if tty:
            os.close(slave)
        outs = [(1, os.fdopen(self._master, "rb", 0))] if tty else [(1, process.stdout), (2, process.stderr)]
        self._open = len(outs)
        for channel, file in outs:
            threading.Thread(target=self._pump, args=(channel, file), daemon=True).start()

    def _pump(self, channel, file):
        with file, contextlib.suppress(OSError):
            while data := os.read(file.fileno(), 65536):
                self._loop.call_soon_threadsafe(self._queue.put_nowait, (channel, data))
        self._loop.call_soon_threadsafe(self._queue.put_nowait, None)

    async def write(self, data):
        fd = self._master if self._tty else self._process.stdin.fileno()
        with contextlib.suppress(OSError):  # it has ended
            await asyncio.to_thread(os.write, fd, data)

    def close_stdin(self):
        if not self._tty:
            self._process.stdin.close()

    def resize(self, columns, rows):
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    async def __aiter__(self):
        while self._open:
            item = await self._queue.get()
            if item is None:
                self._open -= 1
            else:
                yield item

    async def wait(self):
        return await asyncio.to_thread(self._process.wait)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.close_stdin()
        self._process.wait()


class LocalStreams:
    """PodStreams: three lines of log, programs of this machine."""

    async def logs(self, pod, container, options):
        lines = [f"{container} line {n}\n".encode() for n in (1, 2, 3)]
        lines = lines[-options.tail_lines :] if options.tail_lines else lines

        async def read():
            for line in lines:
                yield line

        return read()

    async def exec(self, pod, container, argv, *, stdin=False, tty=False):
        try:
            return LocalProcess(argv, tty)
        except FileNotFoundError as error:
            raise Invalid(message=f'exec: "{argv[0]}": executable file not found in $PATH') from error

    async def attach(self, pod, container):
        return LocalProcess(["echo", "attached"], tty=False)


class ApiServer:
    """`kubectl(...)` speaks to it; `kubeconfig` is a path."""

    def __init__(self, directory):
        self.directory = directory
        self.store, self.clock = MemoryStore(history=1000), SystemClock()
        self.collections = {
            kind.type: Collection(kind, self.store, self.clock, guards.for_kind(kind)) for kind in kinds()
        }
        api = door(
            self.collections.values(),
            self.store,
            self.clock,
            Insides(
                LocalStreams(),
                NoMeter(),
                Issuer("https://kubernetes.default.svc", PlainSigner(), self.store, self.clock),
            ),
        )
        self.pki = ensure_pki(directory / "pki", ["localhost"], [IPv4Address("127.0.0.1")], self.clock.now_s())
        tls = server_context(*self.pki.server, self.pki.authority)
        self.server = Server(api.handler, [Tcp("127.0.0.1", 0, tls)], terms=api.router.terms, say=api.say)
        self.kubeconfig = directory / "kubeconfig"

    @contextlib.contextmanager
    def running(self):
        up, stop = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()

        async def main():
            for name in ("default", "kube-public", "kube-system"):
                await self.collections["Namespace"].create(Object("Namespace", Meta(name=name)))
            await ensure_classes(self.collections["PriorityClass.scheduling.k8s.io"])
            async with running(self.server):
                up.set()
                await stop.wait()

        thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
        thread.start()
        assert up.wait(60)
        url = f"https://127.0.0.1:{self.server.port}"
        self.kubeconfig.write_text(yaml.safe_dump(render_kubeconfig("test", url, self.pki)))
        self.url = url
        yield self
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()

    def kubectl(self, *words, stdin=None, check=True, **options):
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.directory)}
        result = subprocess.run(
            ["kubectl", *words],
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            **options,
        )
        assert not check or result.returncode == 0, (words, result.stdout, result.stderr)
        return result

    def out(self, *words, **options):
        return self.kubectl(*words, **options).stdout

    def err(self, *words, **options):
        result = self.kubectl(*words, check=False, **options)
        assert result.returncode != 0, (words, result.stdout)
        return result.stderr.strip()

    def json(self, *words, **options):
        return json.loads(self.out(*words, "-o", "json", **options))

    def start(self, *words):
        """kubectl in the background, its output to be read line by line."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.directory)}
        return subprocess.Popen(["kubectl", *words], stdout=subprocess.PIPE, text=True, env=environment)
