"""`coracle compose up` and its kin as a user has them: interrupts, exit codes, bad input, and nothing half started.

What Compose v2 does too is asked of it as well: exit codes must be the same.
"""

import os
import pty
import re
import signal
import subprocess

import pytest

from contract.composing import PLUGIN, played


@pytest.fixture
def compose(docker, tmp_path):
    yield from played(docker, "ours", tmp_path)


def theirs(compose, *words):
    """Compose v2 with the same files."""
    command = [PLUGIN, "--project-name", compose.project + "v2", *words]
    done = subprocess.run(
        command, cwd=compose.folder, env=compose.environment, capture_output=True, text=True, timeout=120, check=False
    )
    subprocess.run(
        [*command[:3], "down", "-t", "0", "-v"],
        cwd=compose.folder,
        env=compose.environment,
        capture_output=True,
        check=False,
    )
    return done


def heard(running, *wanted):
    """What is written until all that is wanted was."""
    said = ""
    while not all(text in said for text in wanted):
        line = running.stdout.readline()
        assert line, said
        said += line
    return said


STUBBORN = """
services:
  web: {image: busybox, init: true, command: "sh -c 'echo web is up; exec sleep 1000'", depends_on: [db]}
  db: {image: busybox, command: "sh -c 'trap \\"echo not yet\\" TERM; echo db is up; while true; do sleep 0.1; done'", stop_grace_period: 1m}
"""


def test_the_first_interrupt_stops_and_the_second_kills(compose):
    compose.file(STUBBORN)
    running = compose.popen("up")
    first = heard(running, "web is up", "db is up")
    assert first.index("Attaching to db-1, web-1") < first.index("db-1   | db is up")
    running.send_signal(signal.SIGINT)
    heard(running, "Gracefully stopping... (press Ctrl+C again to force)", "web-1  Stopped", "db-1  Stopping")
    running.send_signal(signal.SIGINT)
    rest, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "db-1  Stopped" in rest
    assert rest.endswith("canceled\n")
    assert compose.inspect("db")["State"]["ExitCode"] == 137


def test_sigterm_stops_what_was_named_and_leaves_what_it_depends_on(compose):
    compose.file(STUBBORN)
    running = compose.popen("up", "web")
    assert "db is up" not in heard(running, "web is up")
    running.terminate()
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert (len(compose.ids("web")), len(compose.ids("db"))) == (0, 1)
    compose("up", "--detach")
    running = compose.popen("up")
    heard(running, "web-1  Running", "Attaching to")
    compose("kill")
    rest, _ = running.communicate(timeout=60)  # nothing runs any more
    assert running.returncode == 0
    assert "web-1 exited with code 137" in rest
    assert "is up" not in rest  # that is old


def test_output_begins_with_the_first_container_not_with_the_last(compose):
    compose.file(
        "services:\n"
        "  db: {image: busybox, init: true, command: sh -c 'echo db waits; exec sleep 1000', healthcheck: {test: test -e /go, interval: 30s}}\n"
        "  web: {image: busybox, init: true, command: sh -c 'echo web runs; exec sleep 1000', depends_on: {db: {condition: service_healthy}}}\n"
    )
    running = compose.popen("up")
    assert "web runs" not in heard(running, "db waits")
    compose.docker("exec", f"{compose.project}-db-1", "touch", "/go")
    heard(running, "web runs")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)


def test_nobody_reads_it_any_more(compose):
    """As with `up | head -1`: what runs goes on."""
    compose.file(
        "services: {a: {image: busybox, init: true, command: \"sh -c 'while true; do echo tick; sleep 0.1; done'\"}}"
    )
    running = compose.popen("up")
    heard(running, "tick")
    running.stdout.close()
    assert running.wait(timeout=60) == 1
    assert len(compose.ids("a")) == 1


ENDING = """
services:
  good: {image: busybox, command: "true"}
  bad: {image: busybox, command: "sh -c 'exit 3'", depends_on: {good: {condition: service_completed_successfully}}}
  long: {image: busybox, init: true, command: sleep 1000}
  late: {image: busybox, command: "sh -c 'exit 3'", depends_on: [long]}  # ended before the other starts, v2 waits
  sick:
    image: busybox
    init: true
    command: sleep 1000
    profiles: [sick]
    healthcheck: {test: "false", interval: 500ms, retries: 1}
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["good", "bad"], 0),
        (["--abort-on-container-exit", "late", "long"], 3),
        (["--exit-code-from", "long", "late", "long"], 143),
        (["--exit-code-from", "late", "late", "long"], 3),
        (["--wait", "long"], 0),
        (["--wait", "sick"], 1),
        (["--exit-code-from", "bad", "good"], 1),
        (["--no-start"], 0),
        (["--scale", "long=0", "--detach"], 0),
    ],
)
def test_exit_codes_are_composes(compose, words, code):
    compose.file(ENDING)
    found = [done.returncode for done in (compose.attempt("up", *words), theirs(compose, "up", *words))]
    assert found == [code, code]


def test_the_first_failure_ends_everything_with_its_code(compose):
    """Compose v2.29 exits with the code of whichever ended last, here that of a signal."""
    compose.file(ENDING)
    done = compose.attempt("up", "--abort-on-container-failure", "good", "bad", "long")
    assert done.returncode == 3
    assert done.stdout.index("good-1 exited with code 0") < done.stdout.index("bad-1 exited with code 3")
    assert "Aborting on container exit..." in done.stderr
    assert not compose.ids("long")


def test_whose_output_and_in_which_form(compose):
    compose.file(
        "services:\n"
        "  low: {image: busybox, command: \"sh -c 'echo one; echo two >&2'\"}\n"
        "  high: {image: busybox, command: echo three, attach: false}\n"
    )
    done = compose.attempt("up", "--no-log-prefix")
    assert [line for line in done.stdout.splitlines() if line] == [
        "Attaching to low-1",
        "one",
        "\x1b[Klow-1 exited with code 0",
    ]
    assert "two\n" in done.stderr
    assert "three" not in done.stdout
    stamped = compose.attempt("up", "--attach", "high", "--timestamps").stdout
    assert re.search(r"^high-1  \| \d{4}-\d\d-\d\dT[\d:.]+Z three$", stamped, re.MULTILINE)


PORT = 28156
BAD = {
    # what -> (file, words, exit code, what is said)
    "an unknown key": ("services: {web: {image: busybox, prots: []}}", ["up"], 15, "compose.yml:1: services.web additional"),
    "a cycle": ("services:\n  a: {image: busybox, depends_on: [b]}\n  b: {image: busybox, depends_on: [a]}", ["up"], 15, "compose.yml:3: dependency cycle"),
    "a missing file": ("services: {a: {extends: {file: no.yml, service: b}}}", ["up"], 15, "no.yml"),
    "a missing env file": ("services: {a: {image: busybox, env_file: no.env}}", ["up", "-d"], 14, "no.env not found"),
    "a required variable": ("services: {a: {image: busybox, command: '${NEEDED:?say it}'}}", ["up"], 15, "compose.yml:1:.*NEEDED.*say it"),
    "an unknown service": ("services: {a: {image: busybox}}", ["up", "-d", "b"], 1, "no such service: b"),
    "an unknown service to stop": ("services: {a: {image: busybox}}", ["-f", "docker-compose.yml", "stop", "b"], 1, "no such service: b"),
    "an unknown service to scale": ("services: {a: {image: busybox}}", ["up", "-d", "--scale", "b=2"], 1, "no such service: b"),
    "an unknown option": ("services: {a: {image: busybox}}", ["up", "--frobnicate"], 16, "--frobnicate"),
    "nothing to start": ("services: {a: {image: busybox}}", ["-f", "docker-compose.yml", "start"], 1, 'service "a" has no container to start'),
    "a scaled port": (f"services: {{a: {{image: busybox, command: sleep 100, ports: ['{PORT}:80']}}}}", ["up", "-d", "--scale", "a=2"], 1, "compose.yml:1: service .*cannot be scaled to 2"),
    "a port of another": (f"services: {{good: {{image: busybox, command: sleep 100}}, a: {{image: busybox, command: sleep 100, ports: ['{PORT + 1}:80']}}}}", ["up", "-d"], 1, "compose.yml:1: service .*port is already allocated"),
    "a port that two want": (f"services: {{a: {{image: busybox, command: sleep 100, ports: ['{PORT}:80']}}, b: {{image: busybox, command: sleep 100, ports: ['{PORT}:81']}}}}", ["up", "-d"], 1, "compose.yml:1: service .*port is already allocated"),
    "a network that is not there": ("services: {a: {image: busybox, networks: [n]}}\nnetworks: {n: {external: true}}", ["up", "-d"], 1, "compose.yml:2: network n declared as external, but could not be found"),
    "a volume that is not there": ("services: {a: {image: busybox, volumes: ['v:/v']}}\nvolumes: {v: {external: true}}", ["up", "-d"], 1, 'compose.yml:2: external volume "v" not found'),
    "an image that is nowhere": ("services: {good: {image: busybox, command: sleep 100}, a: {image: nobody/nothing}}", ["up", "-d"], 18, 'compose.yml:1: service "a": pull access denied for nobody/nothing'),
    "an image that may not be pulled": ("services: {a: {image: nobody/nothing}}", ["up", "-d", "--pull", "never"], 1, 'compose.yml:1: service "a": No such image: nobody/nothing'),
    "a build that fails": ("services:\n  good: {image: busybox, command: sleep 100}\n  a: {build: .}", ["up", "-d"], 17, "compose.yml:3: .*service a .*RUN exit 9.* returned a non-zero code: 9"),
    "a program that is not there": ("services: {good: {image: busybox, command: sleep 100}, a: {image: busybox, command: nosuchprogram, depends_on: [good]}}", ["up", "-d"], 1, "compose.yml:1: service \"a\": .*nosuchprogram"),
}  # fmt: skip

# through BuildKit it is ours; the classic builder gives the exit code of the step
BY_CLASSIC_BUILDER = {"a build that fails": 9}


def test_bad_input_is_refused_with_composes_exit_code_and_leaves_nothing(compose, docker):
    docker("run", "-d", "--name", f"holder-{compose.project}", "-p", f"{PORT + 1}:80", "busybox", "sleep", "1000")
    (compose.folder / "Dockerfile").write_text("FROM busybox\nRUN exit 9\n")
    wrong = {}
    for what, (text, words, code, message) in BAD.items():
        compose.file(text)
        ours, other = compose.attempt(*words), theirs(compose, *words)
        said, left = ours.stdout + ours.stderr, compose.left()
        same = BY_CLASSIC_BUILDER.get(what, code)
        if (ours.returncode, other.returncode, left) != (code, same, []) or not re.search(message, said, re.DOTALL):
            wrong[what] = (ours.returncode, other.returncode, left, said, other.stderr)
    assert not wrong, "\n\n".join(f"{what}: {found}" for what, found in wrong.items())


def test_what_was_there_stays_where_the_next_cannot_be_started(compose):
    good = "services:\n  web: {image: busybox, init: true, command: sleep 1000}\n"
    compose.file(good)
    compose("up", "--detach")
    before = compose.ids("web")
    compose.file(
        good
        + "  late: {image: busybox, command: nosuchprogram}\n  more: {image: busybox, init: true, command: sleep 1000}\n"
    )
    done = compose.attempt("up", "--detach")
    assert done.returncode == 1
    assert "nosuchprogram" in done.stderr
    assert (compose.ids("web"), compose.ids("more", "--all"), compose.ids("late", "--all")) == (before, [], [])
    assert compose.attempt("up", "--detach", "--keep-going").returncode == 1
    assert len(compose.ids("more")) == 1
    assert compose.ids("web") == before


def test_a_name_is_enough_for_what_is_there(compose, docker, tmp_path_factory):
    """Without files; and for a project that another client has made."""
    compose.file(
        "services: {a: {image: busybox, init: true, command: sleep 1000, volumes: ['data:/d']}}\nvolumes: {data: }\n"
    )
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for words in (compose.words, [PLUGIN, "--project-name", compose.project]):
        subprocess.run(
            [*words, "up", "--detach"], cwd=compose.folder, env=compose.environment, capture_output=True, check=True
        )
        here, compose.folder = compose.folder, elsewhere
        compose("stop")
        assert not compose.ids("a")
        compose("start")
        assert len(compose.ids("a")) == 1
        compose("down")
        assert (
            docker("volume", "ls", "--quiet", "--filter", f"name={compose.project}_data") == f"{compose.project}_data"
        )
        compose.folder = here
        compose("down", "--volumes")
        assert compose.left() == []


def test_one_after_another(compose):
    """Each command does what Compose's of the same name does."""
    compose.file(
        "services:\n"
        "  db: {image: busybox, init: true, command: sleep 1000, volumes: [/kept]}\n"
        "  web: {image: busybox, init: true, command: sleep 1000, depends_on: [db]}\n"
    )
    compose("create")
    assert compose.inspect("web")["State"]["Status"] == "created"
    compose("start", "db")
    assert (len(compose.ids("db")), len(compose.ids("web"))) == (1, 0)
    compose("scale", "web=3")
    assert len(compose.ids("web")) == 3
    compose("pause", "web")
    assert all(compose.docker.inspect(id)["State"]["Paused"] for id in compose.ids("web"))
    compose("unpause", "web")
    done = compose.attempt("rm", "--force")
    assert done.stderr == "No stopped containers\n"
    compose("kill", "--signal", "SIGKILL", "web")
    assert compose("rm", "--force", "web").startswith(f"Going to remove {compose.project}-web-1, ")
    assert compose.ids("web", "--all") == []
    compose("up", "--detach")
    db = compose.ids("db")
    compose("up", "--detach", "--force-recreate", "web")
    assert compose.ids("db") == db
    volume = compose.inspect("db")["Mounts"][0]["Name"]
    compose("up", "--detach", "--force-recreate")
    assert compose.ids("db") != db
    assert compose.inspect("db")["Mounts"][0]["Name"] == volume
    compose("up", "--detach", "--force-recreate", "--renew-anon-volumes")
    assert compose.inspect("db")["Mounts"][0]["Name"] != volume
    waiting = compose.popen("wait", "db")
    compose.docker.wait_for(lambda: len(os.listdir(f"/proc/{waiting.pid}/task")) > 1)  # one for each container
    compose("rm", "--stop", "--force")
    said, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, said.count("exited with status code 143")) == (143, 1)
    assert compose.ids("db", "--all") == []
    compose("up", "--detach", "db")
    docker_said = compose.attempt("down", "--rmi", "local", "db")
    assert docker_said.returncode == 0
    assert compose.ids("db", "--all") == []


def test_a_service_of_a_profile_stays_when_the_others_are_started(compose):
    compose.file(
        "services:\n"
        "  web: {image: busybox, init: true, command: sleep 1000}\n"
        "  debug: {image: busybox, init: true, command: sleep 1000, profiles: [debug]}\n"
    )
    compose("up", "--detach")
    assert (len(compose.ids("web")), compose.ids("debug", "--all")) == (1, [])
    compose("down")
    compose("up", "--detach", "debug")
    before = compose.ids("debug")
    done = compose.attempt("up", "--detach", "--remove-orphans")
    assert (done.returncode, len(compose.ids("web")), compose.ids("debug")) == (0, 1, before), done.stderr
    compose("down")
    assert compose.left() == []


def test_a_dry_run_says_what_would_be_done_and_does_nothing(compose):
    compose.file(
        "services: {a: {image: busybox, init: true, command: sleep 1000}, b: {image: busybox, depends_on: [a]}}"
    )
    said = compose.attempt("up", "--detach", "--dry-run").stderr
    assert compose.left() == []
    done = [
        line.split("Container ")[1].split()[0]
        for line in said.splitlines()
        if line.startswith(" DRY-RUN MODE") and line.endswith("Started")
    ]
    assert done == [f"{compose.project}-a-1", f"{compose.project}-b-1"]
    compose("up", "--detach", "a")
    before = compose.ids("a")
    said = compose.attempt("--dry-run", "down").stderr
    assert f" DRY-RUN MODE -  Container {compose.project}-a-1  Removed" in said.splitlines()
    assert compose.ids("a") == before


def test_on_a_terminal_a_block_is_redrawn(compose):
    compose.file("services: {a: {image: busybox, init: true, command: sleep 1000}}")
    master, slave = pty.openpty()
    environment = {name: value for name, value in compose.environment.items() if name != "NO_COLOR"}
    running = subprocess.Popen(
        [*compose.words, "up", "--detach"], cwd=compose.folder, env=environment, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    said = b""
    try:
        while piece := os.read(master, 65536):
            said += piece
    except OSError:
        pass  # its other end is closed: it has ended
    os.close(master)
    assert running.wait(timeout=60) == 0
    assert "\x1b[34m[+] Running 2/2\x1b[0m" in said.decode()
    assert f"\x1b[32m✔\x1b[0m Container {compose.project}-a-1" in said.decode()
