"""The cloud's mount namespace, tried on a stand-in for the host: a namespace of ours whose mounts are all shared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import coracle

SOURCE = Path(coracle.__file__).parents[1]

# What each "process of the host" below begins with; `say` is how it reports.
PRELUDE = """
import os, sys, json, signal, subprocess
from pathlib import Path
sys.path.insert(0, {source!r})
from coracle.linux import namespaces, mounts, cgroups
home = Path("/tmp/cort-home-{name}/run")
def table():
    return sorted(line.split(" - ")[0].split()[4] for line in open("/proc/self/mountinfo"))
def in_home(body, kill=False):
    \"\"\"Run `body` in a daemon of its own, which enters the home first; its output.\"\"\"
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            there = namespaces.enter_home(home)
            os.write(writer, json.dumps([there, body()]).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        os.close(writer)
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    os.close(writer)
    said = os.fdopen(reader).read()
    os.waitpid(pid, 0)
    try:
        return json.loads(said)
    except ValueError:
        raise SystemExit(said)
def mount_something():
    where = home / "stuff"
    where.mkdir(exist_ok=True)
    mounts.mount("tmpfs", where)
    (where / "file").write_text("kept")
    return True
def look():
    return (home / "stuff" / "file").exists()
"""


def on_host(script: str, name: str, propagation: str = "shared") -> str:
    """Run `script` in a fresh mount namespace that stands for the host's; what it prints."""
    place = Path(f"/tmp/cort-home-{name}")
    subprocess.run(["rm", "-rf", str(place)], check=True)
    place.mkdir()
    command = [sys.executable, "-c", PRELUDE.format(source=str(SOURCE), name=name) + script]
    try:
        done = subprocess.run(
            ["unshare", "-m", "--propagation", propagation, *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", str(place)], check=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip()


@pytest.mark.parametrize("propagation", ["shared", "private", "slave"])
def test_the_host_sees_the_pin_and_nothing_else(propagation):
    script = """
before = table()
in_home(mount_something)
print(sorted(set(table()) - set(before)) == [str(home / "mnt")] and len(table()) == len(before) + 2)
namespaces.release_home(home)
print(table() == before and not (home / "mnt").exists())
"""
    assert on_host(script, f"pin-{propagation}", propagation) == "True\nTrue"


def test_a_second_daemon_finds_the_mounts_of_one_that_was_killed():
    script = """
print(in_home(mount_something, kill=True)[0], in_home(look))
"""
    assert on_host(script, "second") == "False [True, True]"


def test_mounts_of_the_host_still_arrive():
    script = """
late = Path(home).parent / "late"
late.mkdir()
in_home(mount_something)
mounts.mount("tmpfs", late)
(late / "file").write_text("new")
print(in_home(lambda: (late / "file").exists()))
"""
    assert on_host(script, "late") == "[True, True]"


def test_what_was_mounted_inside_is_gone_after_the_last_process():
    script = """
in_home(mount_something)
namespaces.release_home(home)
print(in_home(look))
"""
    assert on_host(script, "gone") == "[False, False]"


def test_releasing_what_was_never_there_is_no_error():
    assert on_host("namespaces.release_home(home); print('fine')", "never") == "fine"


def test_hybrid_cgroups_look_like_version_1_inside():
    script = """
print(cgroups.layout())
print(in_home(cgroups.layout)[1])
names = lambda: sorted(set(os.listdir("/sys/fs/cgroup")) - {"unified"})
print(in_home(lambda: sorted(os.listdir("/sys/fs/cgroup")))[1] == names())
print(cgroups.layout())
"""
    outside, inside, the_rest_is_there, after = on_host(script, "hybrid").split("\n")
    if outside == "hybrid":
        assert (inside, the_rest_is_there) == ("legacy", "True")
    else:
        assert inside == outside
    assert after == outside


def test_inside_a_chroot_whose_root_is_no_mount_point():
    """As on a fresh machine's bare root: the second daemon must come back into the chroot, not above it."""
    root = Path("/tmp/cort-chroot")
    prepare = f"""
set -e
mkdir -p {root}/proc {root}/sys {root}/dev {root}/tmp/cort-home-chroot {root}/code
echo bare > {root}/whoami
for d in usr bin lib lib64 sbin opt; do [ -e /$d ] || continue
  if [ -L /$d ]; then cp -P /$d {root}/$d; else mkdir -p {root}/$d; mount --rbind /$d {root}/$d; fi; done
for d in proc sys dev; do mount --rbind /$d {root}/$d; mount --make-rslave {root}/$d; done
mkdir -p {root}{Path(sys.base_prefix)} && mount --bind {sys.base_prefix} {root}{sys.base_prefix}
mount --bind {SOURCE} {root}/code
"""
    script = """
before = table()
who = lambda: Path("/whoami").read_text().strip()
print(in_home(lambda: [mount_something(), who(), os.path.exists("/proc/self/exe")], kill=True)[1])
print(in_home(lambda: [look(), who()]))
print(Path("/whoami").read_text().strip(), len(table()) - len(before))
namespaces.release_home(home)
print(table() == before)
"""
    text = PRELUDE.format(source="/code", name="chroot") + script
    command = ["chroot", str(root), sys.base_prefix + "/bin/python3", "-c", text]
    try:
        done = subprocess.run(
            ["unshare", "-m", "--propagation", "shared", "sh", "-c", prepare + 'exec "$@"', "sh", *command],
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:4] == ["[True, 'bare', True]", "[True, [True, 'bare']]", "bare 2", "True"]
