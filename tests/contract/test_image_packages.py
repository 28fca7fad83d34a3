"""The catalogue's images, built from real packages and run by crun, behave as the images of their names do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from coracle.core.clock import SystemClock
from coracle.core.errors import Invalid
from coracle.image.blobs import BlobStore
from coracle.image.catalogue import Recipe, package_recipe, read_catalogue
from coracle.image.config import Settings
from coracle.image.debian import PackageImages
from coracle.image.digests import chain_ids
from coracle.image.layout import read_config, read_manifest
from coracle.image.manifest import compression_of
from coracle.image.references import parse_reference
from coracle.image.snapshots.api import Layer
from coracle.image.snapshots.overlay import OverlaySnapshotter
from suites import by_hand

CACHE = Path(os.environ.get("CORACLE_CACHE", "/var/tmp/coracle-test-cache"))
FETCH = "import sys, urllib.request as u; r = u.urlopen(sys.argv[1]); print(len(b := r.read()), b.decode())"


class Machine:
    """One cloud's worth of image store: builds, unpacks, runs."""

    def __init__(self, root):
        self.root = root
        self.blobs = BlobStore(root / "store")
        self.snapshots = OverlaySnapshotter(root / "snapshots")
        self.images = PackageImages(CACHE, read_catalogue(), SystemClock())
        self.steps = []
        self._count = 0
        self._servers = []

    def recipe(self, name):
        return self.images.catalogue.find(parse_reference(name), self.images.distribution.names)

    def build(self, recipe, **how):
        return self.images.build(recipe, self.blobs, lambda *step: self.steps.append(step), **how)

    def bundle(self, image, args=(), **how):
        config = read_config(self.blobs, image)
        chain = chain_ids(config.diff_ids)
        for at, layer in enumerate(read_manifest(self.blobs, image).layers):
            path = self.blobs.path(layer.digest)
            self.snapshots.unpack(Layer(chain[: at + 1], config.diff_ids[at], path, compression_of(layer)))
        self._count += 1
        id = f"c{self._count}"
        rootfs = self.snapshots.mount(id, chain)
        return by_hand.bundle(self.root / "bundles" / id, rootfs, config.settings, args, **how)

    def run(self, image, *args, **how):
        bundle = self.bundle(image, args, **how)
        ended = by_hand.run(bundle, f"cort{os.getpid()}-{bundle.name}")
        return ended.returncode, ended.stdout

    def serve(self, image, *args):
        bundle = self.bundle(image, args)
        server = by_hand.Server(bundle, f"cort{os.getpid()}-{bundle.name}")
        self._servers.append(server)
        return server

    def close(self):
        for server in self._servers:
            server.end()
        for id in self.snapshots.list():
            self.snapshots.remove(id)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    made = Machine(tmp_path_factory.mktemp("machine"))
    yield made
    made.close()


def page(server, url="http://127.0.0.1/"):
    server.inside("ip", "link", "set", "lo", "up")
    size, _, body = server.inside("python3", "-c", FETCH, url).partition(" ")
    return int(size), body


def test_busybox_is_a_shell_and_its_applets(machine):
    busybox = machine.build(machine.recipe("busybox"))
    assert machine.run(busybox, "sh", "-c", "echo hello | wc -c; exit 3") == (3, "6\n")
    status, listed = machine.run(busybox, "ls", "/bin", "/sbin", "/usr/bin", "/usr/sbin")
    assert status == 0
    assert {"sleep", "wget", "nslookup", "httpd", "vi"} <= set(listed.split())
    assert machine.run(busybox, "id") == (0, "uid=0(root) gid=0(root)\n")


def test_nginx_serves_its_page_and_logs_to_the_streams(machine):
    server = machine.serve(machine.build(machine.recipe("nginx")))
    size, body = page(server)
    assert "<title>Welcome to nginx!</title>" in body
    assert size == 615
    server.wait_log('"GET / HTTP/1.1" 200 615')
    assert len(server.users()) == 2  # root, and www-data for the workers
    assert server.stop(signal.SIGQUIT) == 0


def test_nginx_takes_another_command(machine):
    status, said = machine.run(machine.build(machine.recipe("nginx")), "nginx", "-t")
    assert (status, "test is successful" in said) == (0, True)


def test_redis_answers_anybody_and_is_not_root(machine):
    server = machine.serve(machine.build(machine.recipe("redis")))
    server.wait_log("Ready to accept connections")
    server.inside("ip", "link", "set", "lo", "up")
    server.inside("ip", "addr", "add", "10.99.0.1/32", "dev", "lo")
    ask = (
        "import socket; s = socket.create_connection(('10.99.0.1', 6379)); s.sendall(b'PING\\r\\n'); print(s.recv(99))"
    )
    assert server.inside("python3", "-c", ask) == "b'+PONG\\r\\n'\n"
    assert 0 not in server.users()
    assert server.stop(signal.SIGTERM) == 0


def test_redis_takes_options_and_other_commands(machine):
    redis = machine.build(machine.recipe("redis"))
    server = machine.serve(redis, "--port", "7000")
    server.wait_log("port=7000")
    status, said = machine.run(redis, "redis-cli", "--version")
    assert (status, said[:9]) == (0, "redis-cli")


def test_httpd_works_and_stops_gracefully(machine):
    server = machine.serve(machine.build(machine.recipe("httpd")))
    assert page(server) == (45, "<html><body><h1>It works!</h1></body></html>\n\n")
    server.wait_log('"GET / HTTP/1.1" 200 45')
    assert "AH00558" not in server.log()  # the complaint about a missing ServerName
    assert server.stop(signal.SIGWINCH) == 0


def test_the_whale_speaks_and_learns_fortunes(machine):
    """The lecture's session: `docker run docker/whalesay cowsay hello world`, and its Dockerfile's three lines."""
    whale = machine.build(machine.recipe("docker/whalesay:latest"))
    status, said = machine.run(whale, "cowsay", "hello", "world")
    assert (status, "hello world" in said) == (0, True)
    assert "~ ~ ~" in said
    learn = "apt-get -y update && apt-get install -y fortunes && /usr/games/fortune -a | cowsay"
    status, said = machine.run(whale, "sh", "-c", learn, own_network=False)
    assert status == 0, said
    assert "~ ~ ~" in said


def test_debian_is_small_and_clean(machine):
    debian = machine.build(machine.recipe("debian"))
    status, said = machine.run(debian, "bash", "-c", "find /tmp /run /var/lib/apt/lists /etc/machine-id -type f 2>&1")
    assert (status, said) == (1, "find: '/etc/machine-id': No such file or directory\n")
    root = machine.root / "snapshots/containers" / machine.snapshots.list()[-1] / "merged"
    assert not list(root.glob("usr/share/man/man1/*"))
    assert sum(layer.size_bytes for layer in read_manifest(machine.blobs, debian).layers) < 100 << 20


def test_images_share_the_base_and_nginx_is_small(machine):
    debian, nginx = (read_manifest(machine.blobs, machine.build(machine.recipe(name))) for name in ("debian", "nginx"))
    assert nginx.layers[0] == debian.layers[0]
    assert nginx.size_bytes < 150 << 20


def test_a_list_of_packages_becomes_an_image(machine):
    recipe = package_recipe("tools:1", ["hello"])
    image = machine.build(recipe)
    assert machine.run(image, "hello") == (0, "Hello, world!\n")
    assert machine.images.find(recipe).digest == image.digest


def test_a_base_without_packages_of_its_own_is_built_upon(machine):
    recipe = Recipe(
        "mine", base="busybox", run=("echo hello > /greeting",), settings=Settings(cmd=("cat", "/greeting"))
    )
    assert machine.run(machine.build(recipe)) == (0, "hello\n")


def test_building_again_gives_the_same_bytes(machine):
    recipe = machine.recipe("busybox")
    assert machine.build(recipe, again=True).digest == machine.build(recipe, again=True).digest


def test_what_was_built_is_handed_out_without_building(machine, tmp_path):
    recipe = machine.recipe("busybox")
    machine.build(recipe)
    steps = []
    store = BlobStore(tmp_path)
    image = machine.images.build(recipe, store, lambda *step: steps.append(step[0]))
    assert set(steps) == {"storing"}
    layer = read_manifest(store, image).layers[0]
    assert store.path(layer.digest).stat().st_nlink >= 2  # not copied


def test_a_package_that_does_not_exist_is_named_and_leaves_nothing(machine):
    with pytest.raises(Invalid, match="Unable to locate package no-such-package"):
        machine.build(package_recipe("broken", ["no-such-package"]))
    wait_for(lambda: os.listdir(CACHE / "work") == mounted() == [])  # builds of other clouds come to their end


def test_building_anew_leaves_no_old_blobs(machine, tmp_path):
    images = PackageImages(tmp_path / "cache", read_catalogue(), SystemClock())
    old = tmp_path / "cache/images/blobs/sha256" / ("0" * 64)
    store = BlobStore(tmp_path)
    images.build(machine.recipe("busybox"), store, lambda *_: None)
    old.write_bytes(b"what an earlier build made")
    image = images.build(machine.recipe("busybox"), store, lambda *_: None, again=True)
    kept = [image, *read_manifest(store, image).blobs]
    assert set(os.listdir(old.parent)) == {blob.digest.removeprefix("sha256:") for blob in kept}


def test_two_clouds_build_one_image_once(machine, tmp_path):
    steps = [[], []]

    def build(at):
        images = PackageImages(tmp_path / "cache", read_catalogue(), SystemClock())
        images.build(machine.recipe("busybox"), BlobStore(tmp_path / str(at)), lambda *step: steps[at].append(step[0]))

    threads = [threading.Thread(target=build, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted("busybox: packing" in told for told in steps) == [False, True]
    assert all(told[-1] == "storing" for told in steps)


BUILD_AND_TELL = """
import pathlib, sys
from coracle.core.clock import SystemClock
from coracle.image.blobs import BlobStore
from coracle.image.catalogue import Recipe, package_recipe, read_catalogue
from coracle.image.config import Settings
from coracle.image.debian import PackageImages
images = PackageImages(pathlib.Path(sys.argv[1]), read_catalogue(), SystemClock())
recipe = package_recipe("killed", ["hello"])
images.build(recipe, BlobStore(pathlib.Path(sys.argv[2])), lambda *step: print(step[0], flush=True), again=True)
"""


def test_a_build_that_is_killed_leaves_nothing_mounted(machine, tmp_path):
    """Its helper dies with it, and the next build clears its working directory."""
    machine.build(machine.recipe("debian"))
    argv = [sys.executable, "-c", BUILD_AND_TELL, str(CACHE), str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as builder:
        for line in builder.stdout:
            if "downloading" in line or "installing" in line:
                break
        left = CACHE / "work"
        (home,) = left.iterdir()
        builder.kill()
    wait_gone(str(home))
    assert [line for line in mounted() if str(home) in line] == []
    machine.build(machine.recipe("busybox"), again=True)
    assert not home.exists()


def mounted():
    """Where builds mount things, what is mounted now; other programs of the machine mount elsewhere."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if str(CACHE / "work") in line]


def wait_gone(text):
    """Until no process has `text` on its command line: the kernel ends the helper, a moment after its parent."""
    wait_for(lambda: subprocess.run(["pgrep", "--full", text], capture_output=True, check=False).returncode)


def wait_for(what, timeout_s=60):
    until_s = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < until_s, what
        time.sleep(0.02)


def test_progress_is_told(machine):
    machine.steps.clear()
    machine.build(package_recipe("told", ["hello"]), again=True)
    assert any(step[0].endswith("installing") and step[1] > 0 for step in machine.steps)
    assert all(0 <= done <= total for _, done, total in machine.steps)


def test_other_tools_read_the_cache(machine):
    """skopeo finds a built image in the cache's layout under its name."""
    found = machine.build(machine.recipe("busybox"))
    name = found.annotations["org.opencontainers.image.ref.name"]
    argv = ["skopeo", "inspect", "--raw", f"oci:{CACHE}/images:{name}"]
    raw = subprocess.run(argv, capture_output=True, check=True).stdout
    assert raw == machine.blobs.read(found.digest)
