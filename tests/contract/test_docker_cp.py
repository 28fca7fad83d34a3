"""Files in and out of containers: cp both ways, export, diff; and what containers try in order to get out."""

import base64
import contextlib
import ctypes
import io
import json
import os
import subprocess
import tarfile
import threading
from http.client import HTTPConnection
from pathlib import Path

import pytest

RUN = ("run", "--rm")


@pytest.fixture(autouse=True)
def image(docker):
    docker("pull", "--quiet", "busybox")


@pytest.fixture(params=["running", "stopped"])
def box(request, docker):
    """A container named box with some files, in both states."""
    docker("create", "--name", "box", "--volume", "data:/data", "busybox", "sleep", "1000")
    docker("start", "box")
    docker("exec", "box", "sh", "-c", SCRIPT)
    if request.param == "stopped":
        docker("kill", "box")
    return "box"


SCRIPT = """
    mkdir -p /d/sub /empty; echo one > /d/one; echo two > /d/sub/two; ln -s /d/one /d/absolute; ln -s sub /d/relative
    ln -s nowhere /d/dangling; ln /d/one /d/hard; mkfifo /d/fifo; chown 7:8 /d/sub/two; chmod 4755 /d/sub/two
    echo volume > /data/file; ln -s /etc/passwd /data/out
"""


class Api(HTTPConnection):
    """The engine's socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        import socket

        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))

    def ask(self, method, path, body=None, headers=None):
        self.request(method, path, body, headers or {})
        answer = self.getresponse()
        return answer.status, answer.read(), answer.headers


@pytest.fixture
def api(docker):
    found = Api(docker.socket)
    yield found
    found.close()


def bytes_of(docker, *words, input=None):
    """What the client wrote, which is no text."""
    done = subprocess.run(
        ["docker", *words], input=input, capture_output=True, env=docker.environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def entries(raw):
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {member.name: member for member in archive}


def packed(*members):
    """A tar of (name, type or content, more attributes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, what, *more in members:
            entry = tarfile.TarInfo(name)
            entry.mode = 0o644
            for key, value in (more[0] if more else {}).items():
                setattr(entry, key, value)
            if what not in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE):
                entry.size = len(what)
                archive.addfile(entry, io.BytesIO(what) if len(what) else None)
            else:
                entry.type = what
                archive.addfile(entry)
    return out.getvalue()


def test_files_and_directories_come_out(docker, box, tmp_path):
    docker("cp", f"{box}:/d/one", str(tmp_path / "as"))
    assert (tmp_path / "as").read_text() == "one\n"
    docker("cp", f"{box}:/d", str(tmp_path / "new"))  # the directory becomes `new`
    assert (tmp_path / "new" / "sub" / "two").read_text() == "two\n"
    (tmp_path / "there").mkdir()
    docker("cp", f"{box}:/d", str(tmp_path / "there"))  # the directory goes into `there`
    assert (tmp_path / "there" / "d" / "one").exists()
    docker("cp", f"{box}:/d/.", str(tmp_path / "there"))  # its content goes into `there`
    assert (tmp_path / "there" / "one").exists()
    assert os.readlink(tmp_path / "there" / "absolute") == "/d/one"
    docker("cp", f"{box}:/data/file", str(tmp_path))
    assert (tmp_path / "file").read_text() == "volume\n"
    docker("cp", "--follow-link", f"{box}:/d/relative", str(tmp_path / "followed"))
    assert (tmp_path / "followed" / "two").exists()


def test_what_comes_out_is_described_in_full(docker, box):
    found = entries(bytes_of(docker, "cp", f"{box}:/d", "-"))
    assert {*found} == {
        "d",
        "d/one",
        "d/sub",
        "d/sub/two",
        "d/absolute",
        "d/relative",
        "d/dangling",
        "d/hard",
        "d/fifo",
    }
    assert (found["d/sub/two"].mode, found["d/sub/two"].uid, found["d/sub/two"].gid) == (0o4755, 7, 8)
    assert found["d/fifo"].isfifo()
    assert found["d/one"].islnk() or found["d/hard"].islnk()


def test_files_and_directories_go_in(docker, box, tmp_path):
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "x").write_text("x")
    (tmp_path / "tree" / "link").symlink_to("../../etc/passwd")
    docker("cp", str(tmp_path / "tree"), f"{box}:/new")
    docker("cp", str(tmp_path / "tree"), f"{box}:/empty")
    docker("cp", f"{tmp_path}/tree/.", f"{box}:/data/")
    docker("cp", str(tmp_path / "tree" / "deep" / "x"), f"{box}:/d/one")
    bytes_of(docker, "cp", "-", f"{box}:/empty", input=packed(("piped", b"through")))
    found = entries(bytes_of(docker, "cp", f"{box}:/empty", "-"))
    assert {"empty/piped", "empty/tree/deep/x", "empty/tree/link"} <= {*found}
    assert found["empty/tree/link"].linkname == "../../etc/passwd"
    assert {"data/deep/x", "data/file"} <= {*entries(bytes_of(docker, "cp", f"{box}:/data", "-"))}
    docker("start", box)
    assert docker("exec", box, "cat", "/new/deep/x", "/d/one", "/empty/piped") == "xxthrough"


def test_what_is_missing_or_does_not_fit_is_refused(docker, box, tmp_path):
    (tmp_path / "dir").mkdir()
    assert f"Could not find the file /nope in container {box}" in docker.refused("cp", f"{box}:/nope", str(tmp_path))
    assert "No such container: nobody" in docker.refused("cp", "nobody:/x", str(tmp_path))
    assert docker.refused("cp", f"{box}:/d/one/", str(tmp_path))  # a file is no directory
    assert "cannot copy directory" in docker.refused("cp", str(tmp_path / "dir"), f"{box}:/d/one")
    assert f"Could not find the file /not in container {box}" in docker.refused(
        "cp", str(tmp_path / "dir"), f"{box}:/not/there/"
    )


def test_bad_requests_are_refused(docker, api):
    docker("create", "--name", "box", "busybox", "true")
    assert api.ask("HEAD", "/containers/box/archive")[0] == 400
    assert api.ask("HEAD", "/containers/box/archive?path=%00")[0] == 400
    assert api.ask("HEAD", "/containers/nobody/archive?path=/")[0] == 404
    assert api.ask("GET", f"/containers/box/archive?path=/{'a/' * 3000}")[0] in (400, 404)
    status, said, _ = api.ask("PUT", "/containers/box/archive?path=/etc/passwd", packed(("x", b"")))
    assert (status, json.loads(said)["message"]) == (400, "extraction point is not a directory")
    status, said, _ = api.ask("PUT", "/containers/box/archive?path=/", b"this is no tar" * 100)
    assert status == 400, said
    status, _, headers = api.ask("HEAD", "/containers/box/archive?path=/bin/../etc/passwd")
    found = json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))
    assert (status, found["name"], found["mode"], found["linkTarget"]) == (200, "passwd", 0o644, "")
    _, _, headers = api.ask("HEAD", "/containers/box/archive?path=/linuxrc")
    found = json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))
    assert (found["mode"] & 1 << 27, found["linkTarget"]) == (1 << 27, "/bin/busybox")


@pytest.mark.parametrize(
    "hostile",
    [
        packed(("../evil", b"x")),
        packed(("a/../../evil", b"x")),
        packed(("hard", tarfile.LNKTYPE, {"linkname": "../../etc/shadow"})),
        packed(("hard", tarfile.LNKTYPE, {"linkname": "no/such"})),
        packed(("x", b"", {"pax_headers": {"SCHILY.xattr.trusted.overlay.opaque": "y"}})),
        packed(("x", b"", {"uid": 1 << 33})),
        packed(("a" * 300, b"")),
        packed(("x", b"y" * 2000))[:1000],
    ],
    ids=["out", "out-by-detour", "hard-link-out", "hard-link-to-nothing", "forged", "owner", "long-name", "truncated"],
)
def test_archives_that_lie_are_refused(docker, api, hostile):
    docker("create", "--name", "box", "busybox", "true")
    status, said, _ = api.ask("PUT", "/containers/box/archive?path=/tmp", hostile)
    assert status == 400, said
    assert json.loads(said)["message"]


def test_links_in_an_archive_lead_inside_the_container_only(docker, api):
    docker("create", "--name", "box", "busybox", "true")
    probe = f"probe-{os.getpid()}"
    members = [("out", tarfile.SYMTYPE, {"linkname": "/home"}), (f"out/{probe}", b"caught")]
    status, said, _ = api.ask("PUT", "/containers/box/archive?path=/", packed(*members))
    assert status == 200, said
    assert not (Path("/home") / probe).exists()
    assert entries(bytes_of(docker, "cp", f"box:/home/{probe}", "-"))[probe].size == 6


def test_compressed_archives_are_taken(docker):
    docker("create", "--name", "box", "busybox", "true")
    import bz2
    import gzip
    import lzma

    for name, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        bytes_of(docker, "cp", "-", "box:/tmp", input=pack(packed((name, b"content"))))
    assert {"tmp/gz", "tmp/bz2", "tmp/xz"} <= {*entries(bytes_of(docker, "cp", "box:/tmp", "-"))}


def test_kinds_are_kept_where_that_is_asked(docker, api):
    docker("create", "--name", "box", "busybox", "true")
    put = "/containers/box/archive?path=/&noOverwriteDirNonDir=true"
    status, said, _ = api.ask("PUT", put, packed(("etc", b"x")))
    assert status == 400
    assert 'cannot overwrite directory "/etc" with non-directory' in json.loads(said)["message"]
    status, said, _ = api.ask("PUT", put, packed(("etc/passwd", tarfile.DIRTYPE)))
    assert status == 400
    assert 'cannot overwrite non-directory "/etc/passwd" with directory' in json.loads(said)["message"]
    assert api.ask("PUT", "/containers/box/archive?path=/", packed(("etc/passwd", tarfile.DIRTYPE)))[0] == 200


def test_owners_are_the_archives_or_the_users(docker, api):
    docker("create", "--name", "box", "--user", "12:34", "busybox", "true")
    member = ("x", b"", {"uid": 5, "gid": 6, "mode": 0o4711})
    api.ask("PUT", "/containers/box/archive?path=/tmp", packed(member))
    api.ask("PUT", "/containers/box/archive?path=/var&copyUIDGID=1", packed(member))
    kept = entries(bytes_of(docker, "cp", "box:/tmp/x", "-"))["x"]
    given = entries(bytes_of(docker, "cp", "box:/var/x", "-"))["x"]
    assert (kept.uid, kept.gid, kept.mode) == (5, 6, 0o4711)
    assert (given.uid, given.gid, given.mode) == (12, 34, 0o4711)


def test_what_is_read_only_stays_as_it_is(docker, tmp_path):
    (tmp_path / "x").write_text("x")
    docker(
        "create", "--name", "box", "--read-only", "--volume", "a1:/w", "--volume", "b1:/r:ro", "busybox", "sleep", "99"
    )
    for _ in ("stopped", "running"):
        assert "container rootfs is marked read-only" in docker.refused("cp", str(tmp_path / "x"), "box:/tmp")
        assert "mounted volume is marked read-only" in docker.refused("cp", str(tmp_path / "x"), "box:/r")
        docker("cp", str(tmp_path / "x"), "box:/w")
        docker("start", "box")


def test_devices_fifos_and_the_kernels_files_hold_nobody_up(docker):
    docker("run", "-d", "--name", "box", "--tmpfs", "/t", "busybox", "sleep", "1000")
    docker("exec", "box", "sh", "-c", "mkfifo /t/fifo; echo x > /t/x")
    assert entries(bytes_of(docker, "cp", "box:/dev/zero", "-"))["zero"].ischr()
    assert {"t/fifo", "t/x"} <= {*entries(bytes_of(docker, "cp", "box:/t", "-"))}
    whole = entries(bytes_of(docker, "cp", "box:/", "-"))
    assert "/t/x" in whole
    assert not [name for name in whole if name.startswith(("/proc/", "/sys/"))]
    for path in ("/proc/1/root", "/proc/1/cwd/etc", "/proc/self/mem"):
        said = docker.attempt("cp", f"box:{path}/", "-")
        assert said.returncode != 0, path


def test_large_files_pass_through_without_growing_the_daemon(docker, cloud):
    docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    docker("exec", "box", "truncate", "-s", "400M", "/large")
    before = memory(cloud)
    command = "docker cp box:/large - | docker cp - box:/tmp"
    subprocess.run(command, shell=True, check=True, env=docker.environment, timeout=120)
    assert docker("exec", "box", "stat", "-c", "%s", "/tmp/large") == str(400 << 20)
    assert memory(cloud) - before < 64 << 20


def memory(cloud):
    """Bytes of the daemon, at the most so far."""
    lines = Path(f"/proc/{cloud.daemon_pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10


@contextlib.contextmanager
def exchanged(folder):
    """In `folder`, all the time: a directory `swap` with a file passwd changes places with a link to /etc."""
    (folder / "swap").mkdir()
    (folder / "swap" / "passwd").write_text("inside")
    (folder / "link").symlink_to("/etc")
    rename = ctypes.CDLL(None, use_errno=True).renameat2
    names = [str(folder / name).encode() for name in ("swap", "link")]
    done = threading.Event()

    def swap():
        while not done.is_set():
            rename(-100, names[0], -100, names[1], 2)  # RENAME_EXCHANGE

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("where", ["volume of a running one", "root of a running one", "volume of a stopped one"])
def test_no_race_of_links_leads_out(docker, api, where):
    """However a container swaps directories for links: only its own files come out, and go in (CVE-2018-15664)."""
    docker("run", "-d", "--name", "box", "--volume", "swapped:/w", "busybox", "sleep", "1000")
    with tarfile.open(fileobj=io.BytesIO(bytes_of(docker, "cp", "box:/etc/passwd", "-"))) as archive:
        own = {b"inside", archive.extractfile("passwd").read()}
    if where == "root of a running one":
        folder = Path(f"/proc/{docker.inspect('box')['State']['Pid']}/root/home")
    else:
        folder = Path(docker.inspect("swapped", "--type", "volume")["Mountpoint"])
    path = "/home" if where == "root of a running one" else "/w"
    if where == "volume of a stopped one":
        docker("kill", "box")
        docker("wait", "box")
    probe, seen = f"probe-{os.getpid()}", set()
    with exchanged(folder):
        for _ in range(60 if where == "volume of a stopped one" else 150):
            status, raw, _ = api.ask("GET", f"/containers/box/archive?path={path}/swap/passwd")
            assert status == 200, raw
            with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
                seen.add(archive.extractfile("passwd").read())
            status, said, _ = api.ask("PUT", f"/containers/box/archive?path={path}/swap", packed((probe, b"mine")))
            assert status in (200, 404), said
            status, raw, _ = api.ask("GET", f"/containers/box/archive?path={path}")
            assert not [name for name in entries(raw) if "shadow" in name]
    assert seen == own  # each of the two was met
    assert not Path("/etc", probe).exists()


def test_nothing_of_the_container_is_ever_run(docker):
    """Its decompressors and its libraries are its own: an archive is unpacked without them (CVE-2019-14271, -41567)."""
    import gzip

    trap = "#!/bin/sh\ntouch /trapped\n"
    docker("create", "--name", "box", "--user", "root", "busybox", "true")
    names = ("xz", "unpigz", "gzip", "zstd", "bzip2")
    members = [(f"usr/bin/{name}", trap.encode(), {"mode": 0o755}) for name in names]
    bytes_of(docker, "cp", "-", "box:/", input=packed(*members))
    bytes_of(docker, "cp", "--archive", "-", "box:/tmp", input=gzip.compress(packed(("x", b"y"))))
    assert not Path("/trapped").exists()
    assert "x" in entries(bytes_of(docker, "cp", "box:/tmp/x", "-"))


def test_an_upload_that_breaks_off_leaves_the_daemon_alone(docker, api):
    docker("create", "--name", "box", "busybox", "true")
    api.connect()
    head = "PUT /containers/box/archive?path=/tmp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    api.sock.sendall(head.encode() + b"200\r\n" + packed(("x", b"y" * 5000))[:512] + b"\r\n")
    api.close()
    done = threading.Event()
    threading.Thread(target=lambda: (docker("rm", "box"), done.set()), daemon=True).start()
    assert done.wait(30)


def test_export_is_the_whole_root_without_volumes(docker, box):
    found = entries(bytes_of(docker, "export", box))
    assert {"d/one", "bin/busybox", "etc/passwd", "data"} <= {*found}
    assert "data/file" not in found
    assert (found["d/sub/two"].mode, found["d/sub/two"].uid) == (0o4755, 7)


def test_changes_are_told(docker):
    docker(
        "run",
        "--name",
        "changed",
        "busybox",
        "sh",
        "-c",
        "rm /bin/vi; echo x > /etc/new; echo >> /etc/passwd; mkdir /top",
    )
    assert docker("diff", "changed").split("\n") == [
        "C /bin", "D /bin/vi", "C /etc", "A /etc/new", "C /etc/passwd", "A /top",
    ]  # fmt: skip
    docker("create", "--name", "untouched", "busybox", "true")
    assert docker("diff", "untouched") == ""
