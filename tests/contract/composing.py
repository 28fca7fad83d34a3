"""A project of one of three Compose clients, in a folder of its own."""

import subprocess
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / ".make/tools/cli-plugins/docker-compose"
CLIENTS = ("v2", "v1", "ours")


def words_of(client, cloud):
    """How a client is called."""
    if client == "ours":
        return [*cloud.command, "compose"]
    return ["docker", "compose"] if client == "v2" else ["docker-compose"]


class Compose:
    """One project of one client, in a folder of its own."""

    def __init__(self, docker, client, folder):
        self.docker, self.client, self.folder = docker, client, folder
        self.project = "p" + uuid.uuid4().hex[:6]
        self.words = [*words_of(client, docker.cloud), "--project-name", self.project]
        self.environment = {**docker.environment, "DOCKER_BUILDKIT": "0"}

    def file(self, text):
        (self.folder / "docker-compose.yml").write_text(text)

    def attempt(self, *words, **environment):
        return subprocess.run(
            [*self.words, *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, *words):
        done = self.attempt(*words)
        assert done.returncode == 0, f"{words} exited {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def popen(self, *words):
        return subprocess.Popen(
            [*self.words, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ids(self, service, *options):
        label = f"label=com.docker.compose.project={self.project}"
        chosen = ("--filter", label, "--filter", f"label=com.docker.compose.service={service}")
        return self.docker("ps", "--quiet", "--no-trunc", *chosen, *options).split()

    def inspect(self, service):
        (id,) = self.ids(service, "--all")
        return self.docker.inspect(id)

    def left(self):
        """What is there of the project."""
        chosen = ("--quiet", "--filter", f"label=com.docker.compose.project={self.project}")
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return [name for kind in kinds for name in self.docker(*kind, *chosen).split()]


def played(docker, client, folder):
    """A project; taken down in the end."""
    if client == "v2":
        plugins = Path(docker.environment["DOCKER_CONFIG"]) / "cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        if not (plugins / "docker-compose").exists():
            (plugins / "docker-compose").symlink_to(PLUGIN)
    compose = Compose(docker, client, folder)
    yield compose
    compose.attempt("down", "--volumes", "--timeout", "0", "--remove-orphans")
