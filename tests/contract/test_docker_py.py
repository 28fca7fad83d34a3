"""The docker library for Python, unmodified, as its users use it."""

import gc
import io
import tarfile
import threading

import docker as sdk
import pytest

# The library leaves sockets of streams to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def client(docker):
    client = sdk.DockerClient(base_url=f"unix://{docker.socket}")
    yield client
    client.close()
    gc.collect()


def test_it_finds_the_version(client):
    assert client.ping()
    assert client.api._version == "1.50"
    assert client.version()["ApiVersion"] == "1.50"
    assert client.info()["OSType"] == "linux"


def test_run_gives_the_output(client):
    assert client.containers.run("busybox", "echo hello", remove=True) == b"hello\n"
    with pytest.raises(sdk.errors.ContainerError) as failed:
        client.containers.run("busybox", ["sh", "-c", "echo wrong >&2; exit 3"], remove=True)
    assert failed.value.exit_status == 3
    assert failed.value.stderr == b"wrong\n"


def test_images_that_are_not_there(client):
    with pytest.raises(sdk.errors.ImageNotFound):
        client.images.get("nobody-has-made-this")
    with pytest.raises(sdk.errors.NotFound):
        client.containers.get("nobody-has-made-this")


def test_a_container_s_life(client):
    container = client.containers.run("busybox", "sleep 100", detach=True, name="py", labels={"a": "b"}, init=True)
    assert container.status == "created"
    container.reload()
    assert container.status == "running"
    assert container.exec_run("echo there").output == b"there\n"
    code, (out, err) = container.exec_run(["sh", "-c", "echo o; echo e >&2; exit 4"], demux=True)
    assert (code, out, err) == (4, b"o\n", b"e\n")
    assert [c.name for c in client.containers.list(filters={"label": ["a=b"]})] == ["py"]
    assert container.top()["Titles"]
    container.pause()
    container.unpause()
    container.rename("py2")
    container.stop(timeout=1)
    assert container.wait()["StatusCode"] in (137, 143)
    container.remove()
    assert "py2" not in [c.name for c in client.containers.list(all=True)]


def test_logs_and_streams(client):
    container = client.containers.run(
        "busybox", ["sh", "-c", "echo e >&2; sleep 0.2; for i in 1 2 3; do echo $i; done"], detach=True
    )
    container.wait()
    assert container.logs(stdout=True, stderr=False) == b"1\n2\n3\n"
    assert container.logs(stderr=True, stdout=False) == b"e\n"
    assert b"".join(container.logs(stream=True, follow=True, stderr=False)) == b"1\n2\n3\n"
    assert container.logs(tail=1, stderr=False) == b"3\n"


def test_attaching_by_socket(client):
    container = client.containers.create("busybox", "cat", stdin_open=True)
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    socket._sock.sendall(b"through and back\n")
    assert b"through and back\n" in socket._sock.recv(1024)
    socket.close()
    container.kill()


def test_archives_both_ways(client):
    container = client.containers.run("busybox", "sleep 100", detach=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("given.txt")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"given"))
    assert container.put_archive("/tmp", buffer.getvalue())
    chunks, stat = container.get_archive("/tmp/given.txt")
    assert stat["name"] == "given.txt"
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        assert archive.extractfile("given.txt").read() == b"given"
    assert {"Path": "/tmp/given.txt", "Kind": 1} in container.diff()


def test_networks_and_volumes(client):
    network = client.networks.create("py-net", labels={"x": "y"})
    volume = client.volumes.create("py-vol")
    server = client.containers.run("busybox", "httpd -f -p 80 -h /data", detach=True, name="server", network="py-net",
                                   volumes={"py-vol": {"bind": "/data", "mode": "rw"}})  # fmt: skip
    ready = "echo served > /data/index.html; until wget -qO /dev/null 127.0.0.1; do sleep 0.05; done"
    server.exec_run(["sh", "-c", ready])
    said = client.containers.run("busybox", "wget -qO- http://server/", network="py-net", remove=True)
    assert said == b"served\n"
    network.reload()
    assert [c.name for c in network.containers] == ["server"]
    network.disconnect(server)
    server.remove(force=True)
    network.remove()
    volume.remove()


def test_builds(client):
    files = io.BytesIO(b"FROM busybox\nARG WHO=nobody\nRUN echo hello $WHO > /said\nCMD cat /said\n")
    image, log = client.images.build(fileobj=files, tag="py-built:1", buildargs={"WHO": "world"}, rm=True)
    assert "py-built:1" in image.tags
    assert any("Successfully built" in line.get("stream", "") for line in log)
    assert client.containers.run("py-built:1", remove=True) == b"hello world\n"
    with pytest.raises(sdk.errors.BuildError, match="returned a non-zero code: 5"):
        client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 5\n"))
    client.images.remove("py-built:1")


def test_events_and_stats(client):
    events = client.events(decode=True, filters={"type": "container", "label": "watched"})
    seen = []

    def follow():
        for event in events:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                return

    reader = threading.Thread(target=follow)
    reader.start()
    container = client.containers.run("busybox", "sleep 100", detach=True, labels={"watched": "yes"})
    stats = container.stats(stream=False)
    assert stats["memory_stats"]["usage"] > 0
    assert stats["pids_stats"]["current"] >= 1
    container.kill()
    container.wait()
    container.remove()
    reader.join(60)
    assert seen == ["create", "start", "kill", "die", "destroy"]


def test_saving_and_loading(client):
    archive = b"".join(client.images.get("busybox").save(named=True))
    (image,) = client.images.load(archive)
    assert "busybox:latest" in image.tags
