"""Docker's containers when the daemon dies and comes back, or the cloud is stopped and started."""

import os
import signal
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from coracle.testing.cloud import Cloud

SERVE = (
    "busybox",
    "sh",
    "-c",
    "trap 'exit 0' TERM; mkdir -p /w; echo hi >/w/index.html; httpd -h /w; sleep 1000 & wait",
)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    with Cloud.started(Path(tmp_path_factory.mktemp("survivor"))) as cloud:
        cloud.docker("pull", "--quiet", "busybox")
        yield cloud


def docker(cloud, *words):
    return cloud.docker(*words).stdout.strip()


def field(cloud, name, template):
    return docker(cloud, "inspect", "--format", template, name)


def fetch(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        return answer.read()


def crash(cloud):
    pid = cloud.daemon_pid
    os.kill(pid, signal.SIGKILL)
    cloud.wait_for(lambda: not Path(f"/proc/{pid}/stat").exists() or _is_zombie(pid))


def _is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_all_goes_on_after_the_daemon_was_killed(own, tmp_path):
    docker(own, "run", "-d", "--name", "web", "-p", "127.0.0.1:18091:80", *SERVE)
    own.wait_for(lambda: _answers(18091))
    waits = ("run", "-d", "-v", f"{tmp_path}:/told:ro")
    until = ("busybox", "sh", "-c", "until [ -e /told/go ]; do sleep 0.05; done; exit $0")
    docker(own, *waits, "--name", "ends", *until, "7")
    docker(own, *waits, "--rm", "--name", "goes", "-v", "/data", *until, "0")
    docker(own, *waits, "--name", "again", "--restart", "on-failure:1", *until, "8")
    docker(own, "run", "-d", "--name", "killed", "--restart", "always", "busybox", "sleep", "1000")
    docker(own, "create", "--name", "waiting", "busybox")
    web, killed = (int(field(own, name, "{{.State.Pid}}")) for name in ("web", "killed"))
    monitors = [int(field(own, name, "{{.State.Pid}}")) for name in ("ends", "goes", "again")]
    crash(own)
    (tmp_path / "go").touch()
    os.kill(killed, signal.SIGKILL)
    own.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in monitors))
    assert fetch(18091) == b"hi\n"  # the kernel needs no daemon
    own.up()
    assert fetch(18091) == b"hi\n"
    assert int(field(own, "web", "{{.State.Pid}}")) == web
    assert docker(own, "port", "web") == "80/tcp -> 127.0.0.1:18091"
    assert field(own, "ends", "{{.State.Status}} {{.State.ExitCode}}") == "exited 7"
    assert field(own, "waiting", "{{.State.Status}}") == "created"
    own.wait_for(lambda: own.docker("inspect", "goes", check=False).returncode != 0)
    assert docker(own, "volume", "ls", "--quiet") == ""
    own.wait_for(lambda: field(own, "again", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}") == "1 exited 8")
    own.wait_for(lambda: field(own, "killed", "{{.State.Running}}{{.State.Restarting}}") == "truefalse")
    assert int(field(own, "killed", "{{.State.Pid}}")) != killed
    refused = own.docker("run", "--rm", "-p", "18091:80", "busybox", "true", check=False)
    assert "port is already allocated" in refused.stderr
    docker(own, "rm", "--force", "web", "ends", "again", "killed", "waiting")


def test_down_and_up_obey_the_policies(own):
    policies = {
        "always": "always",
        "manual": "always",
        "unless": "unless-stopped",
        "left": "unless-stopped",
        "no": "no",
    }
    for name, policy in policies.items():
        docker(own, "run", "-d", "--stop-timeout", "0", "--name", f"d-{name}", "--restart", policy, *SERVE)
    docker(own, "stop", "--time", "0", "d-manual", "d-left")
    docker(own, "create", "--name", "d-never", "--restart", "always", *SERVE)
    own.down()
    own.up()

    def running():
        return set(docker(own, "ps", "--format", "{{.Names}}", "--filter", "name=d-").split())

    own.wait_for(lambda: running() == {"d-always", "d-manual", "d-unless"})
    assert field(own, "d-never", "{{.State.Status}}") == "created"
    docker(own, "rm", "--force", *(f"d-{name}" for name in [*policies, "never"]))


def test_nothing_is_left_however_often_it_dies(own):
    """Clients go on making and removing containers while the daemon dies under them."""
    stopped = threading.Event()

    def churn(*options):
        while not stopped.is_set():
            own.docker("run", "--rm", "-v", "/data", *options, "busybox", "true", check=False)

    threads = [threading.Thread(target=churn, args=options) for options in ((), ("-p", "18092:80"))]
    for thread in threads:
        thread.start()
    for delay_s in (0.05, 0.21, 0.13):
        time.sleep(delay_s)  # somewhere in the life of a container
        crash(own)
        own.up()
    stopped.set()
    for thread in threads:
        thread.join()
    own.wait_for(lambda: docker(own, "ps", "--all", "--quiet") == "")
    own.wait_for(lambda: docker(own, "volume", "ls", "--quiet") == "")
    left = [own.root / "sandboxes", own.root / "containers", own.root / "snapshots" / "containers"]
    own.wait_for(lambda: not any(path for folder in left for path in folder.iterdir()))


def _answers(port):
    try:
        return fetch(port)
    except OSError:
        return b""
