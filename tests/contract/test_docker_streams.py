"""Attach and exec through the real client: pipes, terminals, half-closed connections, clients that vanish."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Request, TextMessage

from contract.terminals import Terminal
from coracle.wire.stdcopy import Frames

CTRL_P, CTRL_Q = b"\x10", b"\x11"


@pytest.fixture
def terminal(docker):
    opened = []

    def make(*words):
        opened.append(Terminal(["docker", *words], docker.environment))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture(scope="module", autouse=True)
def busybox(cloud):
    cloud.docker("pull", "busybox")


@pytest.fixture
def server(docker):
    """A container that runs until the test is over."""
    return docker("run", "--detach", "busybox", "sleep", "1000")


class Raw:
    """An HTTP connection of our own to the daemon's socket."""

    def __init__(self, docker, method, path, body=b"", *, upgrade="tcp", early=b""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(docker.socket))
        head = f"{method} {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
        if upgrade:
            head += f"Connection: Upgrade\r\nUpgrade: {upgrade}\r\n"
        self.socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body + early)
        said = b""
        while b"\r\n\r\n" not in said:
            piece = self.socket.recv(65536)
            assert piece, f"closed after {said!r}"
            said += piece
        self.head, _, self.rest = said.partition(b"\r\n\r\n")

    @property
    def status(self):
        return int(self.head.split()[1])

    @property
    def type(self):
        return re.search(rb"(?i)content-type: (\S+)", self.head)[1].decode()

    def read_all(self):
        said = self.rest
        while piece := self.socket.recv(65536):
            said += piece
        return said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


# -- run and attach ----------------------------------------------------------------------------------------------------


def test_what_a_program_writes_comes_out_where_it_was_written(docker):
    done = docker.attempt("run", "--rm", "busybox", "sh", "-c", "echo to stdout; echo to stderr >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == ("to stdout\n", "to stderr\n", 3)


def test_input_goes_in_ends_and_what_comes_back_is_whole(docker):
    text = "".join(f"line {number}\n" for number in range(100_000))
    done = docker.attempt("run", "--rm", "--interactive", "busybox", "cat", input=text)
    assert done.returncode == 0
    assert done.stdout == text


def test_output_that_ends_at_once_is_never_missed(docker):
    assert [docker("run", "--rm", "busybox", "echo", str(number)) for number in range(10)] == [*"0123456789"]


def test_the_end_of_the_input_does_not_end_the_output(docker):
    script = "cat >/dev/null; echo all read; sleep 0.3; echo done"
    assert docker("run", "--rm", "--interactive", "busybox", "sh", "-c", script, input="x") == "all read\ndone"


def test_a_program_waits_for_a_slow_reader_and_nothing_is_lost(docker):
    command = ["docker", "run", "--rm", "busybox", "head", "-c", "30000000", "/dev/zero"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=docker.environment) as client:
        first = client.stdout.read(1)
        time.sleep(0.3)  # nobody reads meanwhile
        rest = client.stdout.read()
    assert len(first + rest) == 30_000_000
    assert client.returncode == 0


def test_several_who_are_attached_all_hear_and_all_may_speak(docker):
    docker("run", "--detach", "--interactive", "--name", "shared", "busybox", "cat")
    with (
        Raw(docker, "POST", "/containers/shared/attach?stream=1&stdin=1&stdout=1") as one,
        Raw(docker, "POST", "/containers/shared/attach?stream=1&stdout=1") as other,
    ):
        assert (one.status, other.status) == (101, 101)
        one.socket.sendall(b"hello\n")
        assert list(Frames().feed(one.socket.recv(100))) == [(1, b"hello\n")]
        assert list(Frames().feed(other.socket.recv(100))) == [(1, b"hello\n")]


def test_attach_answers_before_the_start_and_takes_input_sent_with_the_request(docker):
    id = docker("create", "--interactive", "busybox", "cat")
    path = f"/v1.41/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1"
    with Raw(docker, "POST", path, early=b"sent along\n") as raw:
        assert raw.status == 101
        assert raw.type == "application/vnd.docker.raw-stream"
        docker("start", id)
        raw.socket.shutdown(socket.SHUT_WR)
        assert list(Frames().feed(raw.read_all())) == [(1, b"sent along\n")]


def test_the_stream_says_what_kind_it_is(docker):
    plain, tty = docker("create", "busybox", "true"), docker("create", "--tty", "busybox", "true")
    for id, version, expected in (
        (plain, "v1.50", "multiplexed"),
        (plain, "v1.42", "multiplexed"),
        (plain, "v1.41", "raw"),
        (tty, "v1.50", "raw"),
    ):
        with Raw(docker, "POST", f"/{version}/containers/{id}/attach?stream=1&stdout=1") as raw:
            assert raw.type == f"application/vnd.docker.{expected}-stream"


def test_a_client_that_does_not_ask_for_an_upgrade_is_given_the_connection_all_the_same(docker):
    id = docker("run", "--detach", "busybox", "echo", "hello")
    docker("wait", id)
    with Raw(docker, "POST", f"/containers/{id}/attach?logs=1&stdout=1", upgrade="") as raw:
        assert raw.status == 200
        assert list(Frames().feed(raw.read_all())) == [(1, b"hello\n")]


def test_attach_with_logs_tells_everything_once_and_in_order(docker):
    script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; [ $((i % 10)) = 0 ] && sleep 0.02; done"
    id = docker("run", "--detach", "busybox", "sh", "-c", script)
    with Raw(docker, "POST", f"/containers/{id}/attach?logs=1&stream=1&stdout=1&stdin=1") as raw:
        said = b"".join(data for _, data in Frames().feed(raw.read_all()))
    assert said.split() == [str(number).encode() for number in range(1, 201)]


def test_a_start_that_fails_ends_the_attachment(docker):
    id = docker("create", "busybox", "no-such-program")
    with Raw(docker, "POST", f"/containers/{id}/attach?stream=1&stdout=1") as raw:
        docker.refused("start", id)
        assert raw.read_all() == b""


def test_a_paused_container_cannot_be_attached_to(docker, server):
    docker("pause", server)
    with Raw(docker, "POST", f"/containers/{server}/attach?stream=1&stdout=1") as raw:
        assert raw.status == 409
    docker("unpause", server)


@pytest.mark.parametrize(
    "query",
    ["detachKeys=ctrl-1", "detachKeys=ab", "detachKeys=ctrl-", "detachKeys=%C3%A9"],
)
def test_detach_keys_that_are_none_are_refused(docker, server, query):
    with Raw(docker, "POST", f"/containers/{server}/attach?stream=1&stdin=1&{query}") as raw:
        assert raw.status == 400


def test_a_client_that_vanishes_leaves_the_program_running_and_nothing_behind(docker):
    docker(
        "run", "--detach", "--interactive", "--name", "left", "busybox", "sh", "-c", "while sleep 0.05; do echo x; done"
    )
    for _ in range(20):
        with Raw(docker, "POST", "/containers/left/attach?stream=1&stdin=1&stdout=1&stderr=1") as raw:
            assert raw.status == 101
    assert docker.inspect("left")["State"]["Running"]
    fds = f"/proc/{docker.cloud.daemon_pid}/fd"
    docker.wait_for(lambda: sum(_links_to(fds, "socket:")) < 60)


def _links_to(directory, start):
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"{directory}/{name}").startswith(start)


# -- terminals ---------------------------------------------------------------------------------------------------------


def test_a_shell_on_a_terminal_knows_its_size_and_when_it_changes(docker, terminal):
    shell = terminal("run", "--rm", "--interactive", "--tty", "busybox", "sh")
    shell.expect(rb"/ # ")
    shell.resize(31, 117)
    shell.type(b"until [ \"$(stty size)\" = '31 117' ]; do sleep 0.05; done; echo now $((1+1))\n")
    shell.expect(rb"now 2")
    shell.type(b"exit 7\n")
    assert shell.end() == 7


def test_detach_keys_leave_the_container_running_and_it_can_be_attached_to_again(docker, terminal):
    shell = terminal("run", "--interactive", "--tty", "--name", "kept", "busybox", "sh")
    shell.expect(rb"/ # ")
    shell.type(b"x=42\n")
    shell.expect(rb"/ # ")
    shell.type(CTRL_P)
    shell.type(CTRL_Q)
    assert shell.end() == 0
    assert docker.inspect("kept")["State"]["Running"]
    again = terminal("attach", "--detach-keys", "a,b", "kept")
    again.expect(rb"/ # ")  # drawn anew for the size of this terminal
    again.type(b"echo is $x\n")
    again.expect(rb"is 42")
    again.type(b"ab")
    again.end()
    assert docker.inspect("kept")["State"]["Running"]


def test_the_daemon_knows_the_detach_keys_too(docker):
    id = docker("create", "--interactive", "--tty", "busybox", "sh")
    path = f"/containers/{id}/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-x,y"
    with Raw(docker, "POST", path) as raw:
        docker("start", id)
        raw.socket.sendall(b"echo $((6*7))\n")
        said = b""
        while b"42" not in said:
            said += raw.socket.recv(1000)
        raw.socket.sendall(b"\x18")
        raw.socket.sendall(b"y")
        while raw.socket.recv(1000):
            pass
    assert docker.inspect(id)["State"]["Running"]
    until = str(int(time.time()) + 1)
    wanted = ("--filter", f"container={id}", "--filter", "type=container", "--format", "{{.Action}}")
    said = docker("events", "--since", "1h", "--until", until, *wanted)
    assert said.split() == ["create", "attach", "start", "detach"]


def test_an_exec_on_a_terminal(docker, server, terminal):
    shell = terminal("exec", "--interactive", "--tty", server, "sh")
    shell.expect(rb"/ # ")
    shell.resize(40, 100)
    shell.type(b"until [ \"$(stty size)\" = '40 100' ]; do sleep 0.05; done; echo now $((1+1))\n")
    shell.expect(rb"now 2")
    shell.type(b"exit 9\n")
    assert shell.end() == 9


def test_an_exec_that_is_detached_from_goes_on(docker, server, terminal):
    shell = terminal("exec", "--interactive", "--tty", server, "sh", "-c", "echo ready; read x; touch /ended")
    shell.expect(rb"ready")
    shell.type(CTRL_P)
    shell.type(CTRL_Q)
    shell.end()
    assert "read x" in docker("top", server)


# -- exec --------------------------------------------------------------------------------------------------------------


def test_an_exec_has_its_own_output_input_and_exit_code(docker, server):
    done = docker.attempt("exec", server, "sh", "-c", "echo out; echo err >&2; exit 12")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 12)
    assert docker("exec", "--interactive", server, "cat", input="given") == "given"


def test_an_exec_with_its_own_user_directory_and_variables(docker, server):
    words = ("exec", "--user", "1000:2000", "--workdir", "/tmp", "--env", "A=1", server)
    assert docker(*words, "sh", "-c", "echo $(id -u) $(id -g) $PWD $A") == "1000 2000 /tmp 1"


def test_a_program_that_cannot_be_run_says_so_in_the_stream(docker, server):
    for program, code, words in (
        ("nope", 127, 'exec: "nope": executable file not found in $PATH: unknown'),
        ("/no/where", 127, 'exec: "/no/where": stat /no/where: no such file or directory: unknown'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied: unknown'),
        ("", 127, 'exec: "": executable file not found in $PATH: unknown'),
    ):
        done = docker.attempt("exec", server, program)
        said = f"OCI runtime exec failed: exec failed: unable to start container process: {words}"
        assert (done.returncode, done.stdout.strip()) == (code, said)
    done = docker.attempt("exec", "--user", "nobody-such", server, "true")
    said = "unable to find user nobody-such: no matching entries in passwd file"
    assert (done.returncode, done.stdout.strip()) == (126, said)


def test_a_detached_exec_runs_by_itself_however_much_it_writes(docker, server):
    docker("exec", "--detach", server, "sh", "-c", "yes | head -c 3000000; touch /tmp/ended")
    docker.wait_for(lambda: docker("exec", server, "ls", "/tmp") == "ended")


def test_an_exec_is_refused_where_nothing_runs(docker, server):
    docker("pause", server)
    assert f"container {server} is paused, unpause the container before exec" in docker.refused("exec", server, "true")
    docker("unpause", server)
    docker("kill", server)
    docker("wait", server)
    assert f"container {server} is not running" in docker.refused("exec", server, "true")


def test_an_exec_runs_once_and_tells_how_it_is(docker, server):
    made = _json(
        Raw(
            docker,
            "POST",
            f"/containers/{server}/exec",
            b'{"Cmd":["sh","-c","exit 4"],"AttachStdout":true}',
            upgrade="",
        )
    )
    found = _json(Raw(docker, "GET", f"/exec/{made['Id']}/json", upgrade=""))
    assert (found["Running"], found["ExitCode"], found["ContainerID"]) == (False, None, server)
    with Raw(docker, "POST", f"/exec/{made['Id']}/start", b'{"Detach":false}') as raw:
        assert raw.read_all() == b""
    found = _json(Raw(docker, "GET", f"/exec/{made['Id']}/json", upgrade=""))
    assert (found["Running"], found["ExitCode"]) == (False, 4)
    assert found["Pid"] > 0
    with Raw(docker, "POST", f"/exec/{made['Id']}/start", b'{"Detach":true}', upgrade="") as again:
        assert again.status == 409
    with Raw(docker, "POST", f"/exec/{made['Id']}/start", b"{}", upgrade="") as again:
        assert b"has already run" in again.read_all()
    docker("rm", "--force", server)
    docker.wait_for(lambda: _status(Raw(docker, "GET", f"/exec/{made['Id']}/json", upgrade="")) == 404)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{}", "No exec command specified"),
        (b'{"Cmd":[]}', "No exec command specified"),
        (b'{"Cmd":"ls","Tty":1}', "Tty must be a boolean"),
        (b'{"Cmd":["ls"],"DetachKeys":"ctrl-1"}', "detach keys"),
        (b'{"Cmd":["ls"],"ConsoleSize":[1]}', "ConsoleSize"),
        (b'{"Cmd":["ls"],"ConsoleSize":[-1,70000]}', "ConsoleSize"),
        (b"[1]", "expected an object"),
    ],
)
def test_execs_that_make_no_sense_are_refused(docker, server, body, said):
    refused = Raw(docker, "POST", f"/containers/{server}/exec", body, upgrade="")
    assert refused.status == 400
    assert said in _json(refused)["message"]


def _status(raw):
    with raw:
        return raw.status


def _json(raw):
    length = int(re.search(rb"(?i)content-length: (\d+)", raw.head)[1])
    body = raw.rest
    while len(body) < length:
        body += raw.socket.recv(65536)
    raw.socket.close()
    return json.loads(body)


def test_a_client_that_does_not_read_keeps_nobody_from_ending_the_container(docker):
    id = docker("create", "busybox", "yes")
    with Raw(docker, "POST", f"/containers/{id}/attach?stream=1&stdout=1"):
        docker("start", id)
        docker.wait_for(lambda: _is_held_up(docker, id))
        docker("rm", "--force", id)
    assert id not in docker("ps", "--all", "--quiet", "--no-trunc")


def _is_held_up(docker, id):
    """Whether its log has stopped growing."""
    sizes = {len(docker("logs", id)) for _ in range(3)}
    return len(sizes) == 1 and sizes != {0}


# -- a WebSocket -------------------------------------------------------------------------------------------------------


class Socket:
    """Attach through a WebSocket."""

    def __init__(self, docker, path):
        self.wire = WSConnection(ConnectionType.CLIENT)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(docker.socket))
        self.socket.sendall(self.wire.send(Request(host="docker", target=path)))
        assert isinstance(self.next(), AcceptConnection)

    def send(self, data):
        self.socket.sendall(self.wire.send(BytesMessage(data)))

    def next(self):
        while True:
            for event in self.wire.events():
                return event
            self.wire.receive_data(self.socket.recv(65536) or None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def test_attach_through_a_websocket(docker):
    docker(
        "run", "--detach", "--interactive", "--name", "talks", "busybox", "sh", "-c", "read x; echo $x; echo two >&2"
    )
    with Socket(docker, "/v1.50/containers/talks/attach/ws?stream=1&stdin=1&stdout=1&stderr=1") as client:
        client.send(b"hello\n")
        said = b""
        while isinstance(event := client.next(), BytesMessage):
            said += event.data
        assert said == b"hello\ntwo\n"
        assert isinstance(event, CloseConnection)


def test_a_websocket_of_an_old_client_carries_text_of_everything(docker):
    docker("run", "--detach", "--interactive", "--name", "old", "busybox", "cat")
    with Socket(docker, "/v1.24/containers/old/attach/ws?stream=1") as client:
        client.send(b"hello\n")
        assert client.next() == TextMessage("hello\n")
    assert docker.inspect("old")["State"]["Running"]
