"""The engine on the real kernel: SQLite, overlayfs, netlink, nftables, conmon and crun, images of Debian packages."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import coracle
from coracle.linux import cgroups, namespaces

SCRIPT = Path(__file__).with_name("engine_home.py")
SOURCE = Path(coracle.__file__).parents[1]


class Home:
    """The directory of one cloud's engine, and its daemons, one after another."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="cort-"))

    def daemon(self, scenario, code=0):
        """Run a scenario of engine_home.py to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, SCRIPT, self.directory, scenario],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == code, f"{done.stdout}{done.stderr}"
        return done.stdout

    def close(self):
        self.daemon("purge")
        namespaces.release_home(self.directory / "run")
        group = f"/cort-{self.directory.name[-6:]}"
        for path in cgroups.children(group):
            cgroups.Cgroup(path).signal_all(signal.SIGKILL)
        cgroups.Cgroup(group).remove()
        shutil.rmtree(self.directory)


@pytest.fixture
def home():
    made = Home()
    yield made
    made.close()


@pytest.mark.parametrize(
    "scenario", ["life", "settings", "joins", "attachments", "executions", "refusals", "flood", "nginx"]
)
def test_a_daemon(home, scenario):
    home.daemon(scenario)


def test_a_killed_daemon_is_followed_by_one_that_knows_everything(home):
    home.daemon("die_with_containers", -signal.SIGKILL)
    home.daemon("adopt")


@pytest.mark.slow
def test_fifty_at_once(home):
    assert "fifty" in home.daemon("crowd")
