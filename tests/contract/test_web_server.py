"""The server core over real sockets: plain TCP, a unix socket and TLS, with curl, kubectl and docker as clients."""

import asyncio
import contextlib
import datetime
import gc
import os
import random
import select
import shutil
import socket
import ssl
import stat
import subprocess
import threading

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from coracle.core.errors import AlreadyExists, Broken, Malformed, NotFound, TooLarge, Unsupported
from coracle.core.tasks import running
from coracle.web.edge import edge
from coracle.web.limits import Limits
from coracle.web.listeners import Tcp, Unix
from coracle.web.messages import Response, Stream, Upgrade
from coracle.web.router import Router
from coracle.web.server import Server
from coracle.web.tls import server_context
from coracle.web.websocket import accept

MEBIBYTES_8 = random.Random(8).randbytes(8 << 20)


def make_certificate(folder, name, common_name, groups=(), issuer=None):
    """`folder/name.{crt,key}`, signed by `issuer` (certificate, key) or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        + [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    )
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    ca = make_certificate(folder, "ca", "test CA")
    make_certificate(folder, "server", "localhost", issuer=ca)
    make_certificate(folder, "alice", "alice", ("system:masters", "dev"), issuer=ca)
    make_certificate(folder, "mallory", "alice", ("system:masters",))  # by herself
    return folder


class App:
    """Routes for these tests, and what their handlers saw."""

    def __init__(self):
        self.ended = []
        self.may_answer = threading.Event()  # the end of a raw stream's input
        self.may_answer.set()
        self.router = Router()
        add = self.router.add
        add("GET", "/hello", self.hello)
        add("GET", "/who", self.who)
        add("GET", "/large", self.large)
        add("GET", "/watch", self.watch)
        add("GET", "/slow", self.slow)
        add("GET", "/ws", self.ws)
        add("GET", "/_ping", self.hello)
        add("POST", "/echo", self.echo)
        add("POST", "/raw", self.raw)
        add("POST", "/last-words", self.last_words)
        add("POST", "/count", self.count, streaming=True)

    async def hello(self, request):
        return Response(200, b"hello\n", {"Api-Version": "1.43", "Ostype": "linux"}, "text/plain")

    async def who(self, request):
        identity, peer = request.identity, request.peer
        return Response.of(
            200,
            {
                "name": identity and identity.name,
                "groups": identity and identity.groups,
                "address": peer.address,
                "pid": peer.pid,
                "uid": peer.uid,
            },
        )

    async def large(self, request):
        return Response(200, [MEBIBYTES_8[at : at + 10_000] for at in range(0, len(MEBIBYTES_8), 10_000)])

    async def echo(self, request):
        return Response(200, request.body)

    async def slow(self, request):
        await asyncio.sleep(0.3)
        return Response(200, b"done")

    async def watch(self, request):
        return Stream(200, self._events())

    async def _events(self):
        try:
            yield b'{"type":"ADDED"}\n'
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended.append("watch")

    async def count(self, request):
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return Response.of(200, {"bytes": size})

    async def raw(self, request):
        async def run(stream):
            try:
                while data := await stream.read():
                    await stream.write(data)
                await asyncio.to_thread(self.may_answer.wait, 10)
                await stream.write(b"<end>")
            finally:
                self.ended.append("raw")

        return Upgrade("tcp", run)

    async def last_words(self, request):
        """Ends its own direction while more input waits than is read ahead, then reads it all."""

        async def run(stream):
            await self.much_has_arrived(stream)
            await stream.write(MEBIBYTES_8[: 1 << 20])
            await stream.write_eof()
            found = b""
            while data := await stream.read():
                found += data
            self.ended.append(found)

        return Upgrade("tcp", run)

    async def much_has_arrived(self, stream):
        while not stream._inbox.is_full:  # noqa: ASYNC110  there is no event for what the handler is not told
            await asyncio.sleep(0.001)

    async def ws(self, request):
        async def run(ws):
            while (message := await ws.receive()) is not None:
                await ws.send(message)

        return accept(request, ("echo",), run)


def say(error):
    status = {NotFound: 404, Unsupported: 405, TooLarge: 413, Malformed: 400, Broken: 500}[type(error)]
    return Response.of(status, {"message": str(error)})


def a_server(app, *listeners, **limits):
    return Server(edge(app.router.dispatch, say), listeners, terms=app.router.terms, say=say, limits=Limits(**limits))


@contextlib.contextmanager
def serving(app, *listeners, **limits):
    """The server on a loop in a thread of its own, for clients that block."""
    server = a_server(app, *listeners, **limits)
    up, loops = threading.Event(), []

    async def main():
        loops.append(asyncio.get_running_loop())
        stop = asyncio.Event()
        loops.append(stop)
        async with running(server):
            up.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert up.wait(60)
        yield server
    finally:
        loops[0].call_soon_threadsafe(loops[1].set)
        thread.join(60)
        assert not thread.is_alive()


KINDS = ["tcp", "unix", "tls"]


@pytest.fixture
def app():
    return App()


@pytest.fixture(params=KINDS)
def door(request, app, tmp_path, certificates):
    """A server of one kind, and how to connect to it."""
    path = str(tmp_path / "door.sock")
    context = server_context(certificates / "server.crt", certificates / "server.key", certificates / "ca.crt")
    listener = {"tcp": Tcp("127.0.0.1", 0), "unix": Unix(path), "tls": Tcp("127.0.0.1", 0, context)}[request.param]
    with serving(app, listener) as server:
        yield Door(request.param, server, path, certificates)


class Door:
    def __init__(self, kind, server, path, certificates):
        self.kind, self.server, self.path, self.certificates = kind, server, path, certificates

    def connect(self):
        if self.kind == "unix":
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(60)
            sock.connect(self.path)
            return sock
        sock = socket.create_connection(("127.0.0.1", self.server.port), timeout=60)
        if self.kind == "tls":
            context = ssl.create_default_context(cafile=self.certificates / "ca.crt")
            return context.wrap_socket(sock, server_hostname="localhost")
        return sock

    def curl(self, path, *options):
        scheme = "https" if self.kind == "tls" else "http"
        port = 0 if self.kind == "unix" else self.server.port
        where = []
        if self.kind == "unix":
            where = ["--unix-socket", self.path]
        elif self.kind == "tls":
            where = ["--cacert", str(self.certificates / "ca.crt")]
        url = f"{scheme}://{'localhost' if self.kind == 'tls' else '127.0.0.1'}{f':{port}' if port else ''}{path}"
        return subprocess.run(["curl", "-sS", "-m", "20", *where, *options, url], capture_output=True, check=False)


def read_until(sock, end):
    found = b""
    while not found.endswith(end):
        data = sock.recv(65536)
        if not data:
            break
        found += data
    return found


def wait_for(condition):
    """Until `condition()`; fails after ten seconds."""
    gate = threading.Event()
    for _ in range(1000):
        if condition():
            return
        gate.wait(0.01)
    raise AssertionError("it did not come true")


# answers


def test_curl_gets_an_answer(door):
    got = door.curl("/hello", "-i").stdout
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"\r\n\r\nhello\n")


def test_curl_gets_a_large_answer_whole(door):
    assert door.curl("/large").stdout == MEBIBYTES_8


def test_a_client_that_reads_slowly_gets_a_large_answer_whole(door):
    with door.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = bytearray()
        while data := sock.recv(40_000):
            found += data
    assert bytes(found).partition(b"\r\n\r\n")[2] == MEBIBYTES_8


def test_curl_uploads(door, tmp_path):
    upload = tmp_path / "upload"
    upload.write_bytes(MEBIBYTES_8)
    assert door.curl("/count", "-X", "POST", "-T", str(upload)).stdout == b'{"bytes":8388608}'
    chunked = door.curl("/count", "-X", "POST", "-T", str(upload), "-H", "Transfer-Encoding: chunked")
    assert chunked.stdout == b'{"bytes":8388608}'
    upload.write_bytes(MEBIBYTES_8[: 2 << 20])
    assert door.curl("/echo", "--data-binary", f"@{upload}").stdout == MEBIBYTES_8[: 2 << 20]


def test_curl_is_told_that_a_body_is_too_large_in_the_doors_words(door, tmp_path):
    upload = tmp_path / "upload"
    upload.write_bytes(MEBIBYTES_8)
    for expect in ("100-continue", ""):
        got = door.curl(
            "/echo", "-X", "POST", "-T", str(upload), "-H", f"Expect: {expect}", "-w", "%{http_code}"
        ).stdout
        assert got == b'{"message":"the request body is larger than 3145728 bytes"}413'


def test_curl_offers_http2_and_goes_on_without(door):
    if door.kind == "tls":
        assert b"HTTP/1.1 200" in door.curl("/hello", "-i", "--http2").stdout
    else:
        assert door.curl("/echo", "--http2", "-d", "abc").stdout == b"abc"


def test_requests_in_one_segment_are_all_answered(door):
    with door.connect() as sock:
        sock.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        found = b""
        while found.count(b"hello\n") < 2000:
            found += sock.recv(65536)
        assert found.count(b"HTTP/1.1 200 OK") == 2000


def test_who_is_calling(door):
    who = door.curl("/who").stdout
    if door.kind == "unix":
        assert f'"uid":{os.getuid()}'.encode() in who
        assert b'"pid":null' not in who
    else:
        assert b'"address":"127.0.0.1"' in who
    assert b'"name":null' in who


# the end of either direction


def test_what_follows_an_upgrade_in_its_segment_arrives_and_either_side_ends_alone(door, app):
    app.may_answer.clear()
    with door.connect() as sock:
        sock.sendall(
            b"POST /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}early"
        )
        assert read_until(sock, b"early").startswith(b"HTTP/1.1 101 UPGRADED\r\n")
        sock.sendall(MEBIBYTES_8[:100_000])
        assert read_until(sock, MEBIBYTES_8[99_900:100_000]) == MEBIBYTES_8[:100_000]
        half_close(sock, door)
        app.may_answer.set()
        assert read_after_half_close(sock, door) == b"<end>"


def half_close(sock, door):
    """Say that no more will be sent, in the door's way.  Over TLS, what arrives at this moment is dropped."""
    if door.kind != "tls":
        sock.shutdown(socket.SHUT_WR)
        return
    sock.settimeout(0)
    with contextlib.suppress(ssl.SSLWantReadError):
        sock._sslobj.shutdown()  # sends close_notify; Python's unwrap() would wait for the other one
    sock.settimeout(60)


def read_after_half_close(sock, door):
    found = b""
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while data := sock.recv(65536):
            found += data
    return found


def test_our_direction_ends_alone_however_much_input_waits(door, app):
    sent = MEBIBYTES_8[: 4 << 20]
    with door.connect() as sock:
        sock.sendall(b"POST /last-words HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        read_until(sock, b"\r\n\r\n")
        assert exchange(sock, sent) == MEBIBYTES_8[: 1 << 20]
        half_close(sock, door)
        wait_for(lambda: app.ended)
    assert app.ended == [sent]


def exchange(sock, data, *, size=None):
    """Send `data` and receive `size` bytes (None: to the end) at once, in one thread: TLS objects are not for two."""
    sock.settimeout(0)
    rest, found, is_ended = memoryview(data), bytearray(), False
    waits = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
    while rest or not (is_ended or len(found) == size):
        assert any(select.select([] if is_ended else [sock], [sock] if rest else [], [], 10)), "nothing moves"
        if not is_ended:
            with contextlib.suppress(*waits):
                arrived = receive(sock)
                is_ended = not arrived
                found += arrived
        if rest:
            with contextlib.suppress(*waits):
                rest = rest[sock.send(rest[:65536]) :]
    return bytes(found)


def receive(sock):
    """Some bytes, b"" at the end of the server's direction."""
    try:
        return sock.recv(65536)
    except ssl.SSLZeroReturnError:
        return b""


def test_a_stream_reaches_the_client_at_once_and_ends_with_it(door, app):
    sock = door.connect()
    sock.sendall(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read_until(sock, b'ADDED"}\n\r\n').endswith(b'11\r\n{"type":"ADDED"}\n\r\n')
    assert app.ended == []
    sock.close()
    wait_for(lambda: app.ended == ["watch"])
    wait_for(lambda: door.server.connections == 0)


def test_a_client_that_is_killed_ends_its_upgraded_connection(door, app):
    sock = door.connect()
    sock.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    read_until(sock, b"\r\n\r\n")
    if door.kind != "unix":  # a TCP peer that is killed with unread data resets
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
    wait_for(lambda: app.ended == ["raw"])
    wait_for(lambda: door.server.connections == 0)


def test_a_quiet_peer_that_vanishes_after_half_closing_is_noticed(tmp_path):
    """On a unix socket; nothing is read or written when it happens."""
    ended = []

    class Quiet(App):
        async def raw(self, request):
            async def run(stream):
                try:
                    assert await stream.read() == b""
                    await asyncio.get_running_loop().create_future()
                finally:
                    ended.append(True)

            return Upgrade("tcp", run)

    path = str(tmp_path / "q.sock")
    with serving(Quiet(), Unix(path)) as server:
        sock = Door("unix", server, path, None).connect()
        sock.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        read_until(sock, b"\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert not ended
        sock.close()
        wait_for(lambda: ended)


@pytest.mark.parametrize("door", ["tcp", "unix"], indirect=True)  # over TLS, clients do not do this
def test_a_client_that_half_closes_still_gets_its_answer(door):
    with door.connect() as sock:
        sock.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert read_after_half_close(sock, door).endswith(b"done")


# the server's life


def test_the_end_lets_running_answers_finish_and_removes_the_socket(app, tmp_path):
    path = str(tmp_path / "end.sock")
    with serving(app, Unix(path)) as server:
        door = Door("unix", server, path, None)
        slow, idle, stream = door.connect(), door.connect(), door.connect()
        stream.sendall(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
        read_until(stream, b'ADDED"}\n\r\n')
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: server.connections == 3)
    with slow, idle, stream:
        assert read_after_half_close(slow, door).endswith(b"done")
        assert idle.recv(10) == b""
        assert stream.recv(10) == b""
    assert app.ended == ["watch"]
    assert not os.path.exists(path)


def test_a_unix_socket_has_its_mode_and_replaces_a_dead_one(app, tmp_path):
    path = tmp_path / "mode.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(app, Unix(str(path), mode=0o600, group=os.getgid())):
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o600, os.getgid())
        assert [entry.name for entry in tmp_path.iterdir()] == ["mode.sock"]


def test_a_living_socket_or_another_file_is_not_replaced(app, tmp_path):
    path = tmp_path / "live.sock"
    with serving(app, Unix(str(path))), pytest.raises(ExceptionGroup) as refused:
        asyncio.run(a_server(app, Unix(str(path))).run(lambda: None))
    assert refused.group_contains(AlreadyExists)
    path.write_text("precious")
    with pytest.raises(ExceptionGroup) as refused:
        asyncio.run(a_server(app, Unix(str(path))).run(lambda: None))
    assert refused.group_contains(AlreadyExists, match="is not a socket")
    assert path.read_text() == "precious"


def test_a_port_in_use_is_said(app):
    with serving(app, Tcp("127.0.0.1", 0)) as server, pytest.raises(ExceptionGroup) as refused:
        asyncio.run(a_server(app, Tcp("127.0.0.1", server.port)).run(lambda: None))
    assert refused.group_contains(AlreadyExists, match=f"127.0.0.1:{server.port} is already in use")


def test_one_too_many_is_turned_away_and_the_others_served(app):
    with serving(app, Tcp("127.0.0.1", 0), connections=2) as server:
        door = Door("tcp", server, "", None)
        with door.connect() as first, door.connect():
            wait_for(lambda: server.connections == 2)
            with door.connect() as third:
                assert third.recv(65536).startswith(b"HTTP/1.1 503 ")
                assert read_after_half_close(third, door) == b""
            first.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_until(first, b"hello\n").startswith(b"HTTP/1.1 200")
        wait_for(lambda: server.connections == 0)
        assert door.curl("/hello").stdout == b"hello\n"


def test_silent_and_slow_clients_are_dropped_and_others_do_not_wait(app, certificates):
    context = server_context(certificates / "server.crt", certificates / "server.key")
    with serving(app, Tcp("127.0.0.1", 0), Tcp("127.0.0.1", 0, context), head_s=0.5, linger_s=0.1) as server:
        with contextlib.ExitStack() as stack:
            socks = []
            for index in range(300):
                sock = stack.enter_context(socket.create_connection(("127.0.0.1", server.ports[index % 2]), timeout=60))
                if index % 3:
                    sock.sendall(b"\x16\x03\x01" if index % 2 else b"GET /hello HT")
                socks.append(sock)
            assert Door("tcp", server, "", None).curl("/hello").stdout == b"hello\n"
            for sock in socks:
                with contextlib.suppress(ConnectionResetError):
                    while sock.recv(1000):
                        pass
        wait_for(lambda: server.connections == 0)


def test_a_thousand_idle_streams_are_held_and_let_go(app):
    with serving(app, Tcp("127.0.0.1", 0)) as server:
        door = Door("tcp", server, "", None)
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(door.connect()) for _ in range(1000)]
            for sock in socks:
                sock.sendall(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
            for sock in socks:
                read_until(sock, b'ADDED"}\n\r\n')
            assert server.connections == 1000
            assert door.curl("/hello").stdout == b"hello\n"
        wait_for(lambda: len(app.ended) == 1000 and server.connections == 0)


def test_nothing_of_an_ended_connection_waits_for_a_garbage_collection(door):
    def ours():
        names = ("Connection", "RequestParser", "PlainProtocol", "TlsProtocol", "Request", "Stream", "Deadline")
        return sum(type(found).__name__ in names for found in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = ours()
        for path in (b"/hello", b"/watch", b"/none") * 5:
            with door.connect() as sock:
                sock.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
                assert sock.recv(65536).startswith(b"HTTP/1.1 ")
        wait_for(lambda: door.server.connections == 0 and ours() <= before)
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_garbage_neither_hangs_nor_breaks_the_server(door, seed):
    random_source = random.Random(seed)
    good = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    for _ in range(20):
        data = bytearray(good * 3)
        for _ in range(random_source.randrange(1, 6)):
            data[random_source.randrange(len(data))] = random_source.randrange(256)
        with door.connect() as sock, contextlib.suppress(ConnectionError, ssl.SSLError):
            sock.sendall(data)
            half_close(sock, door)
            answer = read_after_half_close(sock, door)
            assert b" 500 " not in answer.partition(b"\r\n")[0]
    assert door.curl("/hello").stdout == b"hello\n"


# TLS


@pytest.fixture
def tls_door(app, certificates):
    context = server_context(certificates / "server.crt", certificates / "server.key", certificates / "ca.crt")
    with serving(app, Tcp("127.0.0.1", 0, context)) as server:
        yield Door("tls", server, "", certificates)


def test_a_client_certificate_says_who_is_calling(tls_door, certificates):
    options = ["--cert", str(certificates / "alice.crt"), "--key", str(certificates / "alice.key")]
    for version in ("1.2", "1.3"):
        who = tls_door.curl("/who", *options, "--tls-max", version).stdout
        assert who.startswith(b'{"name":"alice","groups":["system:masters","dev"]')


def test_a_certificate_of_somebody_else_is_refused(tls_door, certificates):
    options = ["--cert", str(certificates / "mallory.crt"), "--key", str(certificates / "mallory.key")]
    refused = tls_door.curl("/who", *options)
    assert (refused.returncode != 0, refused.stdout) == (True, b"")
    assert tls_door.curl("/hello").stdout == b"hello\n"


def test_plain_http_at_a_tls_door_is_told_so(tls_door):
    with socket.create_connection(("127.0.0.1", tls_door.server.port), timeout=60) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Client sent an HTTP request to an HTTPS server." in read_until(sock, b"HTTPS server.\n")


def test_tcp_that_ends_without_close_notify_is_a_client_that_is_gone(tls_door, app):
    sock = tls_door.connect()
    sock.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    read_until(sock, b"\r\n\r\n")
    socket.socket.shutdown(sock, socket.SHUT_WR)
    wait_for(lambda: app.ended == ["raw"])
    sock.close()


def test_both_directions_carry_much_at_once(door):
    with door.connect() as sock:
        sock.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        read_until(sock, b"\r\n\r\n")
        assert exchange(sock, MEBIBYTES_8, size=len(MEBIBYTES_8)) == MEBIBYTES_8


def test_aiohttps_websocket_client_is_echoed(tls_door, certificates):
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    url = f"https://localhost:{tls_door.server.port}/ws"

    async def main():
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url, ssl=context, protocols=("other", "echo"), max_msg_size=0) as socket:
                assert socket.protocol == "echo"
                await socket.send_bytes(MEBIBYTES_8)
                assert await socket.receive_bytes() == MEBIBYTES_8
                await socket.ping()
                await socket.send_str("text")
                assert await socket.receive_str() == "text"
            assert socket.close_code == 1000
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url, ssl=context, protocols=("other",))

    asyncio.run(main())


@pytest.fixture
def kubectl():
    if shutil.which("kubectl") is None:
        assert not os.environ.get("CI"), "kubectl is missing"
        pytest.skip("kubectl is not installed")
    return "kubectl"


def test_kubectl_speaks_to_a_tls_door(tls_door, certificates, kubectl, tmp_path):
    command = [
        kubectl, "--kubeconfig=/dev/null", f"--server=https://localhost:{tls_door.server.port}",
        f"--certificate-authority={certificates / 'ca.crt'}", f"--client-certificate={certificates / 'alice.crt'}",
        f"--client-key={certificates / 'alice.key'}", "get", "--raw",
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(tmp_path)}
    assert (
        b'"name":"alice"'
        in subprocess.run([*command, "/who"], capture_output=True, check=False, env=environment).stdout
    )
    assert subprocess.run([*command, "/large"], capture_output=True, check=False, env=environment).stdout == MEBIBYTES_8


def test_docker_speaks_to_a_unix_door(app, tmp_path):
    if shutil.which("docker") is None:
        assert not os.environ.get("CI"), "docker is missing"
        pytest.skip("docker is not installed")
    path = str(tmp_path / "docker.sock")
    with serving(app, Unix(path)):
        command = ["docker", "-H", f"unix://{path}", "version", "--format", "{{.Client.APIVersion}}"]
        environment = {**os.environ, "HOME": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=60)
    assert b"1.43" in done.stdout + done.stderr  # it took the version from our answer to HEAD /_ping
