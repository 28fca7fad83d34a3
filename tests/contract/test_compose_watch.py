"""`watch`: one session each of Compose v2 and of ours, with the same files in the containers and the same words."""

import shutil
import signal
import subprocess
import threading
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / ".make/tools/cli-plugins/docker-compose"

DOCKERFILE = """\
FROM busybox
COPY src /src
COPY conf /conf
CMD ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
"""
COMPOSE = """\
services:
  web:
    build: .
    develop:
      watch:
        - {path: ./src, action: sync, target: /src, ignore: [left/]}
        - {path: ./conf, action: sync+restart, target: /conf}
        - {path: ./Dockerfile, action: rebuild}
"""
MORE = """\
  plain:
    image: busybox
    command: sh -c 'while :; do sleep 0.1; done'
    stop_grace_period: 0s
    develop:
      watch:
        - {path: ./plain, action: sync+exec, target: /plain, include: "*.txt", initial_sync: true,
           exec: {command: sh -c 'cat /plain/*.txt > /seen; echo seen by $$WHO', environment: [WHO=me]}}
        - {path: ./again, action: restart}
"""


class Session:
    """A client's `watch`, and what it says."""

    def __init__(self, command, folder, cloud):
        self.cloud, self.said = cloud, []
        environment = {**cloud.environment, "DOCKER_BUILDKIT": "0", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.append(line)

    def heard(self, text):
        return sum(text in line for line in self.said)

    def wait_for(self, text, times=1):
        self.cloud.wait_for(lambda: self.heard(text) >= times)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self.reader.join(60)
        self.process.stdout.close()
        return self.process.returncode


@pytest.fixture(params=["v2", "ours"])
def session(request, cloud, docker, tmp_path):
    """Begins `watch` for a file; the project is taken down afterwards."""
    project = "w" + uuid.uuid4().hex[:6]
    client = [*cloud.command, "compose"] if request.param == "ours" else [str(PLUGIN)]
    client += ["--project-name", project]
    for name, text in (
        ("src/a", "1"),
        ("conf/c", "1"),
        ("plain/p.txt", "1"),
        ("again/x", "1"),
        ("Dockerfile", DOCKERFILE),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "compose.yaml").write_text(COMPOSE + (MORE if request.param == "ours" else ""))
    begun = Session([*client, "watch"], tmp_path, cloud)
    begun.ours = request.param == "ours"
    begun.run = lambda service, *words: docker("exec", f"{project}-{service}-1", *words)
    begun.inspect = lambda service: docker.inspect(f"{project}-{service}-1")
    yield begun
    if begun.process.poll() is None:
        begun.end()
    cloud.run([*client[:-2], "-f", str(tmp_path / "compose.yaml"), *client[-2:], "down", "--timeout", "0"], check=False)


def test_files_come_and_go_and_containers_with_them(session, docker, tmp_path):
    session.wait_for("Watch enabled")
    first = session.inspect("web")

    (tmp_path / "src/a").write_text("2")
    (tmp_path / "src/left").mkdir()
    (tmp_path / "src/left/b").write_text("1")
    (tmp_path / "src/deep").mkdir()
    (tmp_path / "src/deep/b").write_text("1")
    (tmp_path / "src/deep/b").chmod(0o750)
    docker.wait_for(lambda: session.run("web", "sh", "-c", "cat /src/a; stat -c %u:%g:%a /src/deep/b") == "20:0:750")
    session.wait_for('Syncing service "web" after ')
    assert sorted(session.run("web", "ls", "/src").split()) == ["a", "deep"]
    shutil.rmtree(tmp_path / "src/deep")
    docker.wait_for(lambda: session.run("web", "ls", "/src") == "a")

    (tmp_path / "conf/c").write_text("2")
    docker.wait_for(lambda: session.inspect("web")["State"]["StartedAt"] != first["State"]["StartedAt"])
    session.wait_for("Started", 2)
    assert (session.inspect("web")["Id"], session.run("web", "cat", "/conf/c")) == (first["Id"], "2")

    (tmp_path / "Dockerfile").write_text(DOCKERFILE + "ENV BUILT=again\n")
    session.wait_for('Rebuilding service "web" after changes were detected...')
    session.wait_for('service "web" successfully built')
    docker.wait_for(lambda: session.inspect("web")["Id"] != first["Id"] and session.inspect("web")["State"]["Running"])
    assert session.run("web", "sh", "-c", "echo $BUILT; cat /src/a") == "again\n2"

    if session.ours:
        beyond(session, docker, tmp_path)
    code = session.end()
    assert session.said[-1].strip() == "canceled"
    assert code == 130
    assert not session.heard("rror"), session.said


def beyond(session, docker, tmp_path):
    """What Compose v2.29 has not."""
    assert session.run("plain", "cat", "/plain/p.txt") == "1"
    (tmp_path / "plain/q.txt").write_text("2")
    (tmp_path / "plain/r.md").write_text("3")
    session.wait_for("seen by me")
    assert session.run("plain", "sh", "-c", "cat /seen; ls /plain") == "12p.txt\nq.txt"
    before = session.inspect("plain")["State"]["StartedAt"]
    (tmp_path / "again/x").write_text("2")
    docker.wait_for(lambda: session.inspect("plain")["State"]["StartedAt"] != before)
    assert session.run("web", "sh", "-c", "echo $BUILT") == "again"


def test_what_cannot_be_watched_says_why(cloud, tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {a: {image: busybox}}")
    file = ("-f", str(tmp_path / "compose.yaml"))
    for words, said in (
        (("watch",), "none of the selected services is configured for watch, consider setting an 'develop' section"),
        (("up", "--watch"), "none of the selected services is configured for watch"),
        (("watch", "nope"), "no such service: nope"),
    ):
        done = cloud.coracle("compose", *file, *words, check=False)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert not cloud.docker("ps", "--all", "--quiet", "--filter", "label=com.docker.compose.service=a").stdout
