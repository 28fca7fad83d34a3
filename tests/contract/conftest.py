"""One cloud for the tests that drive it through clients; for each test a namespace, or Docker's tidied up."""

import json
import shutil
import signal
import uuid
from pathlib import Path

import pytest

from contract.docker_api import Api
from contract.registries import running_registry
from coracle.testing.cloud import Cloud

# A shell's background jobs ignore it, and so would every client that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    with Cloud.started(Path(tmp_path_factory.mktemp("cloud"))) as cloud:
        yield cloud


class Space:
    """A namespace of a cloud: kubectl in it."""

    def __init__(self, cloud, namespace):
        self.cloud, self.namespace = cloud, namespace
        self.wait_for = cloud.wait_for

    def kubectl(self, *words, **options):
        return self.cloud.kubectl("--namespace", self.namespace, *words, **options)

    def json(self, *words):
        return self.cloud.json("--namespace", self.namespace, *words)

    def text(self, *words, **options):
        return self.kubectl(*words, **options).stdout


@pytest.fixture
def space(cloud):
    namespace = "test-" + uuid.uuid4().hex[:6]
    cloud.kubectl("create", "namespace", namespace)
    yield Space(cloud, namespace)
    cloud.kubectl("delete", "namespace", namespace, "--wait=false")


class Docker:
    """The docker command against a cloud: `docker("run", "--rm", "busybox", "true")` gives what it wrote, stripped."""

    def __init__(self, cloud):
        self.cloud, self.wait_for, self.environment = cloud, cloud.wait_for, cloud.environment
        self.socket = cloud.docker_socket

    def __call__(self, *words, input=None):
        return self.cloud.docker(*words, input=input).stdout.strip()

    def attempt(self, *words, input=None):
        """The whole outcome: returncode, stdout, stderr."""
        return self.cloud.docker(*words, input=input, check=False)

    def refused(self, *words, input=None):
        """What it said when it failed, as it has to."""
        done = self.attempt(*words, input=input)
        assert done.returncode != 0, f"docker {' '.join(words)} was accepted: {done.stdout}"
        return done.stderr.strip()

    def inspect(self, name, *words):
        return json.loads(self("inspect", *words, name))[0]

    def made(self):
        """What Docker's users have made: containers, networks, volumes and images without a name."""
        containers = self("ps", "--all", "--quiet", "--no-trunc", "--filter", "name=^/?(?!k8s_)").split()
        networks = self("network", "ls", "--filter", "type=custom", "--quiet", "--no-trunc").split()
        nameless = self("images", "--quiet", "--no-trunc", "--filter", "dangling=true").split()
        volumes = self("volume", "ls", "--quiet").split()
        return {"container": containers, "network": networks, "volume": volumes, "image": nameless}

    def undeclare(self):
        """Let go of the Compose projects whose containers would come back."""
        api = Api(self.socket)
        for project in api("GET", "/compose/projects")[1]:
            api("POST", f"/compose/projects/{project['name']}", json.dumps({"action": "down", "timeout_s": 0}))


@pytest.fixture
def docker(cloud):
    """Docker of the cloud; what the test makes is removed after it."""
    docker = Docker(cloud)
    before = docker.made()
    yield docker
    docker.undeclare()
    after = docker.made()
    force = ("--force",)
    for kind, options in (
        ("container", ("--force", "--volumes")),
        ("network", ()),
        ("volume", force),
        ("image", force),
    ):
        gone = [name for name in after[kind] if name not in before[kind]]
        if gone:
            docker.attempt(kind, "rm", *options, *gone)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, cloud):
    """A registry with TLS, whose authority the cloud knows, and passwords."""
    root = tmp_path_factory.mktemp("guarded")
    with running_registry(root, guarded=True) as address:
        trusted = cloud.root / "certs.d" / address
        trusted.mkdir(parents=True)
        shutil.copy(root / "ca.crt", trusted)
        yield address
