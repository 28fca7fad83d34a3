"""`coracle doctor` on the machine as it is, and with things left over on it."""

import json
import subprocess
import sys
from pathlib import Path

DOCTOR = [sys.executable, "-c", "from coracle.cli.main import main; main()", "doctor", "-o", "json"]
LINK, TABLE, GROUP = "corabcd0123", "coracle-leftover-test", "leftover-test"
OWN_NAME = "leftover-br"  # a bridge that a user named, in the group of a cloud


def examine(*words):
    done = subprocess.run([*DOCTOR, *words], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def test_this_machine_is_fit():
    failed, found = examine()
    assert failed == 0, found
    checks = {finding["check"] for finding in found}
    assert {"kernel", "cgroups", "overlayfs", "conmon", "oci runtime", "libnftables", "leftovers"} <= checks


def test_leftovers_are_found_and_removed():
    top = Path("/sys/fs/cgroup/pids" if Path("/sys/fs/cgroup/pids").exists() else "/sys/fs/cgroup")
    group = top / "coracle" / GROUP / "container"
    group.mkdir(parents=True)
    subprocess.run(["ip", "link", "add", LINK, "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "add", OWN_NAME, "group", str(0x20ABCDEF), "type", "bridge"], check=True)
    for family in ("ip", "ip6"):
        subprocess.run(["nft", "add", "table", family, TABLE], check=True)
    sleeper = subprocess.Popen(["sleep", "1000"])
    (group / "cgroup.procs").write_text(str(sleeper.pid))
    names = {LINK, OWN_NAME, TABLE, f"/coracle/{GROUP}"}

    def told(found, state):
        return {name for name in names for f in found if name in f["detail"].split() and f["state"] == state}

    assert told(examine()[1], "warn") == names
    assert told(examine("--fix")[1], "ok") == names
    assert sleeper.wait(10) in (-15, -9)
    assert told(examine()[1], "warn") == set()
    assert not group.parent.exists()
