"""What the engine says of itself, and who may ask."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
from urllib.parse import quote

import pytest


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def ask(docker, method, path, body=None, headers=None):
    with contextlib.closing(Unix(docker.socket)) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def test_version_and_info(docker):
    assert docker("version", "--format", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}}") == "1.50 1.24"
    said = docker("info")
    assert "Storage Driver: overlay2" in said
    assert "Swarm: inactive" in said
    info = json.loads(docker("info", "--format", "json"))
    assert info["NCPU"] == len(os.sched_getaffinity(0))
    assert info["KernelVersion"] == os.uname().release
    assert info["DockerRootDir"] == str(docker.cloud.root)


def test_info_counts_containers(docker):
    def counts():
        info = json.loads(docker("info", "--format", "json"))
        return info["ContainersRunning"], info["ContainersPaused"], info["ContainersStopped"]

    docker.wait_for(
        lambda: docker("ps", "--all", "--quiet", "--filter", "name=^/?k8s_") == ""
    )  # nobody else's come or go
    before = counts()
    docker("run", "-d", "--name", "runs", "busybox", "sleep", "100")
    docker("create", "--name", "stands", "busybox")
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 0, 1]
    docker("pause", "runs")
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [0, 1, 1]
    docker("unpause", "runs")


@pytest.mark.parametrize("version", ["1.24", "1.30", "1.41", "1.47", "1.50"])
def test_older_clients_are_answered_in_their_version(docker, version):
    environment = {**docker.environment, "DOCKER_API_VERSION": version}
    words = ["docker", "ps", "--format", "{{.ID}}"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    status, headers, _ = ask(docker, "GET", f"/v{version}/containers/json")
    assert (status, headers["Api-Version"]) == (200, "1.50")


def test_newer_clients_are_told_what_is_spoken(docker):
    status, headers, body = ask(docker, "GET", "/v1.99/info")
    assert (status, headers["Api-Version"]) == (400, "1.50")
    assert "Maximum supported API version is 1.50" in json.loads(body)["message"]


def test_the_socket_is_for_root_and_its_group(docker):
    """Nobody else may connect, and the directory lets the group through."""
    assert docker.socket.stat().st_mode & 0o777 == 0o660
    run = ["setpriv", "--reuid=65534", "--clear-groups", "docker", "version"]
    refused = subprocess.run(run, env=docker.environment, capture_output=True, text=True, check=False)
    assert "permission denied" in refused.stderr
    group = docker.socket.stat().st_gid
    run = ["setpriv", "--reuid=65534", f"--regid={group}", "--clear-groups", shutil.which("docker"), "version"]
    environment = {**docker.environment, "DOCKER_CONFIG": "/nonexistent"}
    allowed = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert "Server:" in allowed.stdout, allowed.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("service", "ls"), 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join"'),
        (("node", "ls"), "This node is not a swarm manager."),
        (("secret", "ls"), "This node is not a swarm manager."),
        (("swarm", "leave"), "This node is not part of a swarm"),
        (("swarm", "join-token", "worker"), "This node is not a swarm manager."),
        (("plugin", "inspect", "x"), "x"),
        (("inspect", "nothing-has-this-name"), "No such object: nothing-has-this-name"),
    ],
)
def test_refusals_are_docker_s(docker, words, said):
    assert said in docker.refused(*words)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/containers/../../etc/passwd/json", 400),
        ("GET", "/containers/%2e%2e%2f%2e%2e/json", 400),
        ("GET", "/containers/a%00b/json", 400),
        ("GET", "//containers//json", 404),
        ("GET", "/exec/..%2fx/json", 400),
        ("GET", "/volumes/..", 400),
        ("GET", "/no/such/thing", 404),
        ("PATCH", "/info", 404),
        ("POST", "/containers/create", 400),
    ],
)
def test_strange_paths_are_refused(docker, method, path, status):
    found, _, body = ask(docker, method, path)
    assert found == status
    assert json.loads(body)["message"]


@pytest.mark.parametrize("filters", ["[]", '{"a":1}', '{"nope":["x"]}', "{", '{"label":5}'])
@pytest.mark.parametrize("path", ["/containers/json", "/images/json", "/networks", "/volumes", "/events", "/system/df"])
def test_bad_filters_are_refused(docker, path, filters):
    if path == "/system/df":
        assert ask(docker, "GET", f"{path}?type=nope")[0] == 400
        return
    status, _, body = ask(docker, "GET", f"{path}?filters={quote(filters)}")
    assert status == 400
    assert "filter" in json.loads(body)["message"]


def test_empty_filters_are_none(docker):
    for path in ("/containers/json", "/images/json", "/networks", "/volumes"):
        assert ask(docker, "GET", f"{path}?filters=")[0] == 200


def test_oversized_and_deep_bodies_are_refused(docker):
    json_type = {"Content-Type": "application/json"}
    deep = b'{"Image":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert ask(docker, "POST", "/containers/create", deep, json_type)[0] == 400
    big = b'{"Image":"' + b"x" * 5_000_000 + b'"}'
    assert ask(docker, "POST", "/containers/create", big, json_type)[0] == 413


def test_disk_usage_and_pruning(docker):
    docker("run", "-d", "--name", "keeps", "-v", "kept:/data", "busybox", "sleep", "100")
    docker("run", "--name", "writes", "busybox", "sh", "-c", "head -c 1000000 /dev/zero > /big")
    said = json.loads(docker("system", "df", "--format", "json").splitlines()[1])
    assert said["Type"] == "Containers"
    verbose = json.loads(ask(docker, "GET", "/system/df")[2])
    sizes = {container["Names"][0]: container.get("SizeRw", 0) for container in verbose["Containers"]}
    assert 1_000_000 <= sizes["/writes"] < 1_200_000
    docker("system", "prune", "--force")
    left = docker("ps", "-a", "--format", "{{.Names}}").split()
    assert "keeps" in left
    assert "writes" not in left
    assert "kept" in docker("volume", "ls", "-q").split()
