"""A cloud of one's own for tests: started by the real command, driven by the real kubectl, gone afterwards.

with Cloud.started(tmp_path) as cloud:
    cloud.kubectl("create", "-f", "-", input=manifest)
    cloud.wait_for(lambda: cloud.json("get", "pod", "web")["status"]["phase"] == "Running")
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Cloud:
    """One cloud in `root`, with a name that no other has."""

    root: Path
    name: str = field(default_factory=lambda: "t" + uuid.uuid4().hex[:8])

    @classmethod
    @contextlib.contextmanager
    def started(cls, root: Path) -> Iterator[Cloud]:
        cloud = cls(root)
        try:
            cloud.up()
            yield cloud
        finally:
            cloud.coracle("down", "--purge", "--grace", "0", check=False)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "KUBECONFIG": str(self.root / "kubeconfig"),
            "DOCKER_HOST": f"unix://{self.docker_socket}",
            "DOCKER_CONFIG": str(self.root / "docker-client"),
            "NO_COLOR": "1",
        }

    @property
    def docker_socket(self) -> Path:
        return Path("/run/coracle") / self.name / "docker.sock"

    @property
    def chosen(self) -> dict[str, Any]:
        """What the cloud chose at its first start: pod_cidr, service_cidr, api_port."""
        chosen: dict[str, Any] = json.loads((self.root / "cloud.json").read_text())
        return chosen

    @property
    def daemon_pid(self) -> int:
        return int((self.root / "lock").read_text())

    def up(self) -> None:
        self.coracle("up", "--no-kubeconfig")

    def down(self) -> None:
        self.coracle("down")

    @property
    def command(self) -> list[str]:
        """The real command, about this cloud."""
        program = [sys.executable, "-c", "from coracle.cli.main import main; main()"]
        return [*program, "--root", str(self.root), "--name", self.name]

    def coracle(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run([*self.command, *words], check=check)

    def kubectl(self, *words: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(["kubectl", *words], input=input, check=check)

    def docker(self, *words: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(["docker", *words], input=input, check=check)

    def json(self, *words: str) -> Any:
        """The answer of kubectl with `-o json`."""
        return json.loads(self.kubectl(*words, "-o", "json").stdout)

    def run(
        self, command: list[str], *, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a client against this cloud; with `check`, its failure is an AssertionError that shows what it said."""
        done = subprocess.run(
            command, input=input, capture_output=True, text=True, env=self.environment, timeout=180, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} exited {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def wait_for(self, what: Callable[[], T], timeout_s: float = 30) -> T:
        """The first true value of `what`, asked until `timeout_s` have passed; a failed assertion means not yet."""
        until_s = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(AssertionError, KeyError, IndexError):
                found = what()
                if found:
                    return found
            if time.monotonic() > until_s:
                return self._gave_up(what)
            time.sleep(0.05)

    def _gave_up(self, what: Callable[[], T]) -> T:
        found = what()
        if found:
            return found
        raise AssertionError(f"still not so: {what}\n{self.kubectl('get', 'pods,events', '-A', check=False).stdout}")
