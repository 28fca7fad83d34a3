"""docker logs: which lines, of which stream, until when; large logs, rotated logs, readers that do not read."""

import re
import socket
import subprocess
import time

import pytest

from coracle.wire.stdcopy import Frames

TALK = "echo one; echo two >&2; echo three; printf 'no break'"


@pytest.fixture(scope="module", autouse=True)
def busybox(cloud):
    cloud.docker("pull", "busybox")


def ended(docker, script, *options):
    """A container that has run `script`."""
    id = docker("run", "--detach", *options, "busybox", "sh", "-c", script)
    docker("wait", id)
    return id


def test_both_streams_come_back_as_they_were_written(docker):
    done = docker.attempt("logs", ended(docker, TALK))
    assert (done.stdout, done.stderr) == ("one\nthree\nno break", "two\n")


def test_the_last_lines(docker):
    id = ended(docker, "seq 1 500")
    assert docker("logs", "--tail", "3", id).split() == ["498", "499", "500"]
    assert docker("logs", "--tail", "0", id) == ""
    assert len(docker("logs", "--tail", "all", id).split()) == 500


def test_times_and_what_was_written_between_two_of_them(docker):
    id = ended(docker, "for i in 1 2 3; do echo $i; sleep 0.15; done")
    lines = docker("logs", "--timestamps", id).splitlines()
    times = [line.split()[0] for line in lines]
    assert [line.split()[1] for line in lines] == ["1", "2", "3"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", at) for at in times)
    assert docker("logs", "--since", times[1], id).split() == ["2", "3"]
    assert docker("logs", "--until", times[1][:-4] + "Z", id).split()[-1] in ("1", "2")
    assert docker("logs", "--since", "1h", id).split() == ["1", "2", "3"]
    assert docker("logs", "--until", "1h", id) == ""


def test_following_ends_with_the_container(docker):
    id = docker("run", "--detach", "busybox", "sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done")
    assert docker("logs", "--follow", id).split() == ["1", "2", "3", "4", "5"]


def test_following_one_that_removes_itself(docker):
    script = "echo begun; until [ -e /go ]; do sleep 0.05; done; seq 1 2000"
    id = docker("run", "--detach", "--rm", "busybox", "sh", "-c", script)
    command = ["docker", "logs", "--follow", id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=docker.environment, text=True) as following:
        assert following.stdout.readline() == "begun\n"
        docker("exec", id, "touch", "/go")
        assert following.stdout.read().split() == [str(number) for number in range(1, 2001)]


def test_following_one_that_starts_again(docker):
    id = ended(docker, "echo run")
    docker("start", "--attach", id)
    assert docker("logs", id).split() == ["run", "run"]


def test_a_terminals_log_is_what_the_terminal_was_sent(docker):
    done = docker.attempt("logs", ended(docker, "echo a; echo b >&2", "--tty"))
    assert (done.stdout, done.stderr) == ("a\nb\n", "")  # read in text mode: \r\n is \n here


def test_lines_of_any_length_and_any_bytes(docker):
    id = ended(docker, "head -c 300000 /dev/zero | tr '\\0' x; echo; printf '\\377\\000\\001\\n'")
    command = ["docker", "logs", id]
    said = subprocess.run(command, capture_output=True, env=docker.environment, check=True).stdout
    assert said == b"x" * 300_000 + b"\n\xff\x00\x01\n"


def test_details_are_those_that_were_asked_for(docker):
    options = ("--log-opt", "labels=tier", "--log-opt", "env=A", "--label", "tier=web", "--env", "A=1", "--env", "B=2")
    assert docker("logs", "--details", ended(docker, "echo x", *options)) == "A=1,tier=web x"


def test_a_container_that_keeps_no_log_says_so(docker):
    id = ended(docker, "echo x", "--log-driver", "none")
    assert "configured logging driver does not support reading" in docker.refused("logs", id)


def test_a_container_that_never_started_has_said_nothing(docker):
    assert docker("logs", docker("create", "busybox", "true")) == ""


def test_a_log_that_is_full_makes_room_and_the_end_is_whole(docker):
    id = ended(docker, "seq 1 300000", "--log-opt", "max-size=1m", "--log-opt", "max-file=2")
    numbers = [int(word) for word in docker("logs", id).split()]
    assert numbers == list(range(300_001 - len(numbers), 300_001))
    assert 10_000 < len(numbers) < 300_000


def test_following_across_files_misses_nothing(docker):
    script = "for i in $(seq 1 16); do seq $((i*1000)) $((i*1000+999)); sleep 0.1; done"  # a file in 0.4 s
    options = ("--log-opt", "max-size=200k", "--log-opt", "max-file=2")
    id = docker("run", "--detach", *options, "busybox", "sh", "-c", script)
    numbers = [int(word) for word in docker("logs", "--follow", id).split()]
    assert numbers == list(range(numbers[0], 17_000))


def _request(docker, path):
    opened = socket.socket(socket.AF_UNIX)
    opened.settimeout(60)
    opened.connect(str(docker.socket))
    opened.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
    return opened


def _answer(docker, path):
    with _request(docker, path) as opened:
        said = b""
        while piece := opened.recv(1 << 20):
            said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, b"you must choose at least one stream"),
        ("stdout=0", 400, b"you must choose at least one stream"),
        ("stdout=1&since=yesterday", 400, b"yesterday"),
        ("stdout=1&until=1e400", 400, b"1e400"),
        ("stdout=1&tail=-5", 200, b"a"),
        ("stdout=1&tail=many", 200, b"a"),
        ("stdout=1&since=0&until=0", 200, b"a"),
        ("stderr=1", 200, b""),
    ],
)
def test_queries(docker, query, status, said):
    id = ended(docker, "echo a")
    found = _answer(docker, f"/containers/{id}/logs?{query}")
    assert found[0] == status
    assert said in found[1]


def test_readers_that_do_not_read_cost_little_and_hold_nobody_up(docker):
    script = 'yes "$(head -c 99 /dev/zero | tr "\\0" x)" | head -n 300000'
    before = memory_bytes(docker)
    docker(
        "run", "--detach", "--log-opt", "max-size=2g", "--name", "flood", "busybox", "sh", "-c", f"sleep 0.3; {script}"
    )
    readers = [_request(docker, "/containers/flood/logs?stdout=1&follow=1") for _ in range(5)]
    assert docker("wait", "flood") == "0"
    assert memory_bytes(docker) - before < 20_000_000  # of 30 MB that each of them could have
    for reader in readers:
        reader.close()


def test_a_million_lines_are_read_back_and_the_daemon_stays_small(docker):
    script = 'yes "$(head -c 99 /dev/zero | tr "\\0" x)" | head -n 1000000'
    id = ended(docker, script, "--log-opt", "max-size=1g")
    before = memory_bytes(docker)
    command = ["docker", "logs", id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=docker.environment) as client:
        lines = sum(piece.count(b"\n") for piece in iter(lambda: client.stdout.read(1 << 20), b""))
    assert lines == 1_000_000
    assert memory_bytes(docker) - before < 20_000_000


def memory_bytes(docker):
    with open(f"/proc/{docker.cloud.daemon_pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))


def test_frames_name_the_stream_and_are_lines_for_who_follows(docker):
    id = ended(docker, TALK)
    for follow, how in (("0", b"".join), ("1", list)):
        status, body = _answer(docker, f"/containers/{id}/logs?stdout=1&stderr=1&follow={follow}")
        assert status == 200
        said = {1: [], 2: []}
        for stream, data in Frames().feed(body):
            said[stream].append(data)
        assert (how(said[1]), how(said[2])) == (how([b"one\n", b"three\n", b"no break"]), how([b"two\n"]))


def test_until_a_moment_to_come_following_ends_with_the_first_line_after_it(docker):
    id = docker("run", "--detach", "busybox", "sh", "-c", "while sleep 0.05; do echo x; done")
    status, _ = _answer(docker, f"/containers/{id}/logs?stdout=1&follow=1&until={time.time() + 0.5}")
    assert status == 200
