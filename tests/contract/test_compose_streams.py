"""What goes in and out of a project's containers: logs, exec, run, attach and cp of `coracle compose`.

Where the real Compose v2 says the same in the same order, it stands beside ours.
"""

import os
import re
import select
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from contract.composing import Compose, played
from contract.terminals import Terminal

FILE = """
services:
  web: {image: busybox, init: true, command: "sh -c 'echo from web; echo beneath >&2; exec sleep 1000'", environment: {FROM_FILE: here}}
  two: {image: busybox, init: true, command: "sh -c 'echo from two; exec sleep 1000'", scale: 2}
  asks: {image: busybox, tty: true, stdin_open: true, command: sh}
  gone: {image: busybox, command: "true"}
"""
CTRL_C, CTRL_P, CTRL_Q = b"\x03", b"\x10", b"\x11"


@pytest.fixture(scope="module", autouse=True)
def busybox(cloud):
    cloud.docker("pull", "busybox")


@pytest.fixture
def theirs(docker, tmp_path):
    yield from played(docker, "v2", tmp_path)


@pytest.fixture
def ours(docker, theirs, tmp_path):
    """Ours, of a project that the real client has made."""
    theirs.file(FILE)
    theirs("up", "--detach")
    docker("wait", f"{theirs.project}-gone-1")
    return sibling(docker, theirs, tmp_path)


def spoken(theirs):
    """Once the services have said all that they have to say."""
    theirs.docker.wait_for(lambda: len(theirs("logs", "web", "two").splitlines()) == 4)


def sibling(docker, theirs, folder):
    ours = Compose(docker, "ours", folder)
    ours.project = ours.words[-1] = theirs.project
    return ours


@pytest.fixture
def terminal():
    opened = []

    def make(compose, *words):
        opened.append(Terminal([*compose.words, *words], compose.environment, compose.folder))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def outcomes(theirs, ours, table):
    """What differs, of (returncode, stdout, stderr)."""
    with ThreadPoolExecutor(4) as several:
        expected, found = (list(several.map(partial(result, one), table)) for one in (theirs, ours))
    return [one for one in zip(table, expected, found, strict=True) if one[1] != one[2]]


def result(compose, words):
    done = compose.attempt(*words)
    return done.returncode, done.stdout, done.stderr


# -- logs --------------------------------------------------------------------------------------------------------------


def test_logs_are_merged_behind_names_and_coloured(theirs, ours):
    spoken(theirs)
    table = [
        ["logs", "web"],
        ["logs", "--index", "2", "two"],
        ["logs", "--no-log-prefix", "-n", "1", "web"],
        ["--ansi", "always", "logs", "web"],
        ["logs", "--timestamps", "web"],
        ["logs", "--since", "1h", "web"],
        ["logs", "--since", "nonsense"],
        ["logs", "--index", "5", "two"],
        ["logs", "--index", "1"],
        ["logs", "nix"],
        ["logs", "--follow", "gone"],
    ]
    for one in (theirs, ours):
        one.environment = {name: value for name, value in one.environment.items() if name != "NO_COLOR"}
    assert outcomes(theirs, ours, table) == []
    assert sorted(ours("logs", "web", "two").splitlines()) == sorted(theirs("logs", "web", "two").splitlines())
    colours = re.findall(r"\x1b\[(\d+)m(\S+) +\| \x1b\[0m", ours("--ansi", "always", "logs", "web", "two"))
    assert {(name, colour) for colour, name in colours} == {("two-1", "36"), ("two-2", "33"), ("web-1", "32")}
    assert "\x1b" not in ours("--ansi", "always", "logs", "--no-color", "web")


def test_logs_are_followed_through_restarts_and_of_containers_that_come_later(theirs, ours, docker):
    spoken(theirs)
    following = ours.popen("logs", "--follow", "--tail", "1", "web", "two")
    try:
        heard = sorted(following.stdout.readline() for _ in range(3))
        assert heard == ["two-1  | from two\n", "two-2  | from two\n", "web-1  | beneath\n"]
        docker("restart", "--timeout", "0", f"{theirs.project}-web-1")
        assert sorted(next_lines(following, 2)) == ["web-1  | beneath\n", "web-1  | from web\n"]
        theirs("up", "--detach", "--scale", "two=3", "two")
        assert next_lines(following, 1) == ["two-3  | from two\n"]
        docker("kill", f"{theirs.project}-two-3")
        assert ends_of(following.stdout.readline() + following.stdout.readline()) == [("two-3", "137")]
        following.send_signal(signal.SIGINT)
        said, _ = following.communicate(timeout=60)
        assert (following.returncode, said) == (130, "canceled\n")
    finally:
        following.kill()
        following.communicate()


def next_lines(process, count):
    """The next lines of containers; that one has ended is left out."""
    found = []
    while len(found) < count:
        line = process.stdout.readline()
        found += [line] if " | " in line else []
    return found


def ends_of(text):
    return re.findall(r"(\S+) exited with code (\d+)$", text.replace("\x1b[K", ""), re.MULTILINE)


def test_following_ends_when_all_have_ended(theirs, ours, docker):
    following = ours.popen("logs", "--follow", "web")
    assert sorted(following.stdout.readline() for _ in range(2)) == ["web-1  | beneath\n", "web-1  | from web\n"]
    docker("stop", f"{theirs.project}-web-1")
    said, _ = following.communicate(timeout=60)
    assert ends_of(said) == [("web-1", "143")]
    assert following.returncode == 0


def test_following_goes_on_through_a_restart_that_we_are_asked_for(theirs, docker, tmp_path):
    ours = sibling(docker, theirs, tmp_path)
    ours.file(FILE)
    ours("up", "--detach", "web")
    following = ours.popen("logs", "--follow", "web")
    try:
        assert len(next_lines(following, 2)) == 2
        ours("restart", "--timeout", "0", "web")
        assert sorted(next_lines(following, 2)) == ["web-1  | beneath\n", "web-1  | from web\n"]
        ours("stop", "web")
        said, _ = following.communicate(timeout=60)
        assert (following.returncode, ends_of(said)[-1]) == (0, ("web-1", "143"))
    finally:
        following.kill()
        following.communicate()


# -- exec --------------------------------------------------------------------------------------------------------------


def test_exec_is_as_compose_v2_has_it(theirs, ours):
    table = [
        ["exec", "-T", "web", "sh", "-c", "echo a; echo b >&2; exit 3"],
        ["exec", "web", "ls", "-l", "/nix", "-h"],
        ["exec", "-T", "-e", "A=b", "-e", "HOME", "-e", "NOPE", "-w", "/tmp", "-u", "nobody", "web", "sh", "-c", "echo $A $HOME $NOPE $FROM_FILE; pwd; id"],
        ["exec", "-T=true", "--privileged=false", "--index", "2", "two", "hostname"],
        ["exec", "-T", "--", "web", "echo", "--", "x"],
        ["exec", "-T", "nix", "true"],
        ["exec", "-T", "gone", "true"],
        ["exec", "-T", "--index", "5", "two", "true"],
        ["exec", "-T", "web", "nonsense"],
        ["exec", "-T", "-w", "/nix", "web", "ls"],
        ["exec", "-T", "-u", "nix", "web", "ls"],
        ["exec", "-T", "web"],
        ["attach", "nix"],
        ["attach"],
    ]  # fmt: skip
    assert outcomes(theirs, ours, table) == []
    assert ours.attempt("exec", "--nonsense", "web", "ls").returncode == 16
    ours("exec", "--detach", "web", "touch", "/tmp/made")
    theirs.docker.wait_for(lambda: ours.attempt("exec", "-T", "web", "test", "-e", "/tmp/made").returncode == 0)


def test_what_goes_through_exec_is_whole(ours):
    data = os.urandom(3_000_000)
    done = subprocess.run(
        [*ours.words, "exec", "-T", "web", "cat"], cwd=ours.folder, env=ours.environment, input=data, capture_output=True, timeout=60, check=True
    )  # fmt: skip
    assert done.stdout == data


def test_exec_gives_the_program_our_terminal(ours, terminal):
    shell = terminal(ours, "exec", "web", "sh")
    shell.expect(rb"# ")
    shell.resize(33, 77)
    shell.type(b"until [ \"$(stty size)\" = '33 77' ]; do :; done; echo resized; tty\n")
    shell.expect(rb"resized\r\n/dev/pts/")
    shell.expect(rb"# ")
    shell.type(b"sh -c 'echo begun; exec sleep 1000'\n")  # it has the terminal when it speaks
    shell.expect(rb"begun\r\n")
    shell.type(CTRL_C)
    shell.expect(rb"# ")
    shell.type(b"exit 5\n")
    assert shell.end() == 5


# -- attach ------------------------------------------------------------------------------------------------------------


def test_attach_joins_a_terminal_and_leaves_it(ours, terminal, docker):
    asked = terminal(ours, "attach", "asks")
    asked.type(b"echo $((6*7))\n")
    asked.expect(rb"\r\n42\r\n")
    asked.type(CTRL_P + CTRL_Q)
    assert asked.end() == 0
    assert b"read escape sequence" in asked.said
    again = terminal(ours, "attach", "--detach-keys", "a,b", "asks")
    again.type(CTRL_P + CTRL_Q + b"echo still here\n")
    again.expect(rb"still here\r\n")
    again.type(b"ab")
    assert again.end() == 0
    last = terminal(ours, "attach", "asks")
    last.type(b"exit 7\n")
    assert last.end() == 7
    assert "invalid detach keys" in ours.attempt("attach", "--detach-keys", "nonsense", "web").stderr


def test_attach_passes_signals_on(ours, docker):
    attached = ours.popen("attach", "web")
    (id,) = ours.ids("web")
    docker("exec", id, "sh", "-c", "echo now listening > /proc/1/fd/1")
    docker.wait_for(lambda: docker("exec", id, "sh", "-c", "echo again > /proc/1/fd/1") == "" and heard(attached))
    attached.send_signal(signal.SIGTERM)
    attached.communicate(timeout=60)
    assert attached.returncode == 143
    assert ours.inspect("web")["State"]["ExitCode"] == 143


def heard(process):
    return bool(select.select([process.stdout], [], [], 0.05)[0])


# -- run ---------------------------------------------------------------------------------------------------------------

RUN = """
services:
  db: {image: busybox, init: true, command: sleep 1000, healthcheck: {test: [CMD, test, -e, /tmp/ready], interval: 1s}, hostname: thedb}
  init: {image: busybox, command: "sh -c 'exit $${CODE:-0}'"}
  web:
    image: busybox
    command: [echo, from the file]
    environment: {A: file, B: file}
    ports: ["28180:80"]
    volumes: ["data:/data"]
    labels: {kept: "yes", changed: "no"}
    configs: [{source: c, target: /conf}]
    networks: {default: {aliases: [other]}}
    depends_on: {db: {condition: service_healthy}, init: {condition: service_completed_successfully}}
configs: {c: {content: "configured"}}
volumes: {data: }
"""


def test_run_is_as_compose_v2_has_it(theirs, docker, tmp_path):
    ours = sibling(docker, theirs, tmp_path)
    theirs.file(RUN)
    (tmp_path / "rel").mkdir()
    for one in (theirs, ours):
        one.environment |= {"FROM_HERE": "here", "COMPOSE_IGNORE_ORPHANS": "1"}
    table = [
        ["run", "--rm", "-T", "--no-deps", "web"],
        ["run", "--rm", "-T", "--no-deps", "web", "sh", "-c", "echo $A $B $FROM_HERE; cat /conf; exit 9"],
        ["run", "--rm", "-T", "--no-deps", "-e", "A=run", "-e", "FROM_HERE", "-u", "nobody", "-w", "/tmp", "web", "sh", "-c", "echo $A $B $FROM_HERE; pwd; id -u"],
        ["run", "--rm", "-T", "--no-deps", "--entrypoint", "echo 'a  b'", "web", "c"],
        ["run", "--rm", "-T", "--no-deps", "--entrypoint", "echo", "web"],
        ["run", "--rm", "-T", "--no-deps", "-v", f"{tmp_path}/rel:/rel:ro", "-v", "data:/other", "web", "sh", "-c", "touch /rel/x || touch /other/x; ls /data"],
        ["run", "--rm", "-T", "--no-deps", "web", "nonsense"],
        ["run", "--rm", "-P", "-p", "80", "web"],
        ["run", "--rm", "-T", "--no-deps", "-l", "wrong", "web"],
        ["run", "--rm", "-T", "--no-deps", "-p", "wrong", "web"],
        ["run", "nix"],
        ["run"],
    ]  # fmt: skip
    theirs("run", "--rm", "-T", "--no-deps", "web", "true")  # so that network and volume are there
    assert outcomes(theirs, ours, table) == []
    assert theirs.ids("web", "--all") == []

    made = []
    for one in (theirs, ours):
        id = one(
            "run",
            "-d",
            "--no-deps",
            "-P",
            "-l",
            "changed=yes",
            "--cap-add",
            "NET_ADMIN",
            "--use-aliases",
            "web",
            "sleep",
            "9",
        ).strip()
        made.append(docker.inspect(id))
        assert re.fullmatch(rf"/{one.project}-web-run-[0-9a-f]{{12}}", made[-1]["Name"])
        docker("rm", "--force", id)
    assert comparable(made[0]) == comparable(made[1])


def comparable(container):
    """What of a one-off container is the same from both clients."""
    config, host = container["Config"], container["HostConfig"]
    labels = {name: value for name, value in config["Labels"].items() if not name.endswith((".slug", "hash"))}
    network = next(iter(container["NetworkSettings"]["Networks"].values()))
    return {
        "Env": sorted(config["Env"]),
        **{name: config[name] for name in ("Cmd", "Tty", "OpenStdin", "StdinOnce", "Image", "ExposedPorts")},
        **{name: host[name] for name in ("PortBindings", "CapAdd", "RestartPolicy", "AutoRemove", "NetworkMode")},
        "labels": labels,
        "aliases": sorted(set(network["Aliases"] or ()) - {container["Name"][1:], container["Id"][:12]}),
        "mounts": sorted((one["Type"], one["Destination"], one.get("Name")) for one in container["Mounts"]),
    }


def test_run_starts_what_the_service_depends_on_and_waits_for_it(theirs, docker, tmp_path):
    ours = sibling(docker, theirs, tmp_path)
    ours.file(RUN)
    running = ours.popen("run", "--rm", "-T", "web", "sh", "-c", "ping -c 1 -w 5 db >/dev/null && echo reached; cat")
    (db,) = docker.wait_for(lambda: ours.ids("db"))
    assert running.poll() is None
    docker.wait_for(lambda: docker.attempt("exec", db, "touch", "/tmp/ready").returncode == 0)
    said, _ = running.communicate(timeout=60)
    assert said.endswith("reached\n")
    assert running.returncode == 0
    assert docker.inspect(ours.ids("init", "--all")[0])["State"]["ExitCode"] == 0
    assert ours.ids("web", "--all") == []
    failing = RUN.replace("exit $${CODE:-0}", "exit 4")
    ours.file(failing)
    done = ours.attempt("run", "--rm", "-T", "web", "true")
    assert done.returncode == 1
    assert 'service "init" didn\'t complete successfully: exit 4' in done.stderr


def test_run_on_a_terminal(theirs, docker, terminal, tmp_path):
    ours = sibling(docker, theirs, tmp_path)
    ours.file("services: {shell: {image: busybox, command: sh}}")
    shell = terminal(ours, "run", "--rm", "shell")
    shell.expect(rb"# ")
    shell.type(b"sh -c 'echo begun; exec sleep 1000'\n")  # it has the terminal when it speaks
    shell.expect(rb"begun\r\n")
    shell.type(CTRL_C)
    shell.expect(rb"# ")
    shell.type(b"exit 6\n")
    assert shell.end() == 6
    assert ours.ids("shell", "--all") == []
    left = terminal(ours, "run", "--name", f"{ours.project}-left", "shell")
    left.expect(rb"# ")
    left.type(CTRL_P + CTRL_Q)
    assert left.end() == 0
    assert docker.inspect(f"{ours.project}-left")["State"]["Running"]


# -- cp ----------------------------------------------------------------------------------------------------------------

COPIES = [
    ["f", "web:/IN"],
    ["f", "web:/IN/new"],
    ["f", "web:/IN/new/"],
    ["f", "web:/IN/file"],
    ["f", "web:/IN/no/new"],
    ["dir", "web:/IN/"],
    ["dir/.", "web:/IN/new"],
    ["dir", "web:/IN/file"],
    ["link", "web:/IN"],
    ["-L", "link", "web:/IN"],
    ["f", "web:/IN/to-d"],
    ["f", "two:/IN"],
    ["--index", "2", "f", "two:/IN"],
    ["nix", "web:/IN"],
    ["f", "nix:/IN"],
    ["web:/IN", "two:/IN"],
    ["f", "g"],
    ["web:/IN/src", "OUT"],
    ["web:/IN/src/.", "OUT/new"],
    ["web:/IN/src", "OUT/file"],
    ["web:/IN/src/a", "OUT/file"],
    ["web:/IN/src/a", "OUT/new"],
    ["web:/IN/src/a", "OUT/no/new"],
    ["web:/IN/src/l", "OUT"],
    ["-L", "web:/IN/src/l", "OUT/x"],
    ["web:/IN/nix", "OUT"],
]
MAKE = "mkdir -p /{0}/d /{0}/src/sub; cd /{0}; echo old > file; ln -s d to-d; echo in > src/a; echo b > src/sub/b; ln -s a src/l"
SHOW = "cd /; find {} | sort | while read one; do stat -c '%n %F %a %u %s %N' $one; done"


def test_cp_is_as_compose_v2_has_it(theirs, ours, docker, tmp_path):
    """Each copy of each client has directories of its own, here and in the containers."""
    (tmp_path / "f").write_text("a file\n")
    (tmp_path / "dir/sub").mkdir(parents=True)
    (tmp_path / "dir/sub/x").write_text("x")
    (tmp_path / "link").symlink_to("f")
    names = [f"{client}{number:02}" for client in "tu" for number in range(len(COPIES))]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("old")
    containers = [f"{theirs.project}-{name}" for name in ("web-1", "two-1", "two-2")]
    for one in containers:
        docker("exec", one, "sh", "-c", "; ".join(map(MAKE.format, names)))

    def copied(name):
        words = [re.sub("IN|OUT", name, word) for word in COPIES[int(name[1:])]]
        code, said, told = result(theirs if name[0] == "t" else ours, ["cp", *words])
        return code, said, sorted(told.replace(name, "NAME").splitlines())

    with ThreadPoolExecutor(4) as several:
        outcomes = dict(zip(names, several.map(copied, names), strict=True))
    shown = [docker("exec", one, "sh", "-c", SHOW.format(" ".join(names))) for one in containers]
    here = subprocess.run(
        ["find", *names, "-printf", "%p %y %m %s %l\n"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    shown.append("\n".join(sorted(line for line in here.stdout.splitlines() if " d " not in line)))

    def found(client, number):
        name = f"{client}{number:02}"
        files = [[re.sub(name, "NAME", line) for line in text.splitlines() if line.startswith(name)] for text in shown]
        return outcomes[name], files

    cases = [(words, found("t", number), found("u", number)) for number, words in enumerate(COPIES)]
    assert [one for one in cases if one[1] != one[2]] == []

    stream = subprocess.run(
        [*ours.words, "cp", "web:/u00/src", "-"], cwd=tmp_path, env=ours.environment, capture_output=True, check=True, timeout=60
    )  # fmt: skip
    subprocess.run(
        [*ours.words, "cp", "-", "web:/u00/d"],
        cwd=tmp_path,
        env=ours.environment,
        input=stream.stdout,
        check=True,
        timeout=60,
    )
    assert ours.docker("exec", containers[0], "cat", "/u00/d/src/sub/b") == "b"


def test_what_a_container_has_leads_cp_nowhere_else(ours, tmp_path):
    """A link in a copied directory, and a file through it, must not become a file beside the directory."""
    outside = tmp_path / "outside"
    outside.mkdir()
    ours("exec", "-T", "web", "sh", "-c", f"mkdir -p /evil && ln -s {outside} /evil/way && ln -s /evil/way/x /evil/y")
    ours("cp", "web:/evil", str(tmp_path / "evil"))
    (tmp_path / "evil/way").readlink()
    ours("exec", "-T", "web", "sh", "-c", "rm /evil/way; mkdir /evil/way; echo bad > /evil/way/x")
    ours.attempt("cp", "web:/evil/.", str(tmp_path / "evil"))
    assert list(outside.iterdir()) == []
