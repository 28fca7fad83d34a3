"""Published ports through the real client: reached, chosen, refused by name of their owner, kept across a crash."""

import os
import re
import signal
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from coracle.testing.cloud import Cloud

SERVE = ("busybox", "httpd", "-f", "-h", "/etc")


@pytest.fixture(autouse=True)
def image(docker):
    docker("pull", "--quiet", "busybox")


def free_port(width=1, start=21000, end=30000):
    """The first of `width` ports that nobody listens on."""
    for first in range(start, end, width):
        try:
            for number in range(first, first + width):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("", number))
        except OSError:
            continue
        return first
    raise AssertionError("no free port")


def get(port, host="127.0.0.1"):
    """What /etc/hostname says behind that port; None: nobody is there."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/hostname", timeout=3) as answer:
            return answer.read().decode().strip()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def served(docker, port, host="127.0.0.1"):
    """The same, once the server that has just started is ready."""
    return docker.wait_for(lambda: get(port, host))


def publish(docker, name, *words):
    return docker("run", "--detach", "--name", name, "--hostname", name, *words, *SERVE)


def test_two_web_servers(docker):
    one, two = free_port(), free_port(start=22000)
    publish(docker, "web1", "--publish", f"{one}:80")
    publish(docker, "web2", "--publish", f"{two}:80")
    assert [served(docker, one), served(docker, two), get(two, "localhost")] == ["web1", "web2", "web2"]
    assert docker("port", "web1").splitlines()[0] == f"80/tcp -> 0.0.0.0:{one}"
    assert f"0.0.0.0:{one}->80/tcp" in docker("ps", "--format", "{{.Ports}}")
    docker("stop", "--time", "0", "web1")
    assert get(one) is None
    assert docker.inspect("web1")["NetworkSettings"]["Ports"] == {}
    docker("start", "web1")
    assert served(docker, one) == "web1"


def test_ports_are_chosen(docker):
    first = free_port(3)
    publish(docker, "many", "--publish", "80", "--publish-all", "--expose", "81", "--expose", "82/udp")
    bound = docker.inspect("many")["NetworkSettings"]["Ports"]
    assert set(bound) == {"80/tcp", "81/tcp", "82/udp"}
    numbers = [int(one["HostPort"]) for those in bound.values() for one in those]
    assert all(32768 <= number <= 60999 for number in numbers)
    assert served(docker, bound["80/tcp"][0]["HostPort"]) == "many"
    for name in ("r1", "r2", "r3"):
        publish(docker, name, "--publish", f"{first}-{first + 2}:80")
    assert {served(docker, number) for number in range(first, first + 3)} == {"r1", "r2", "r3"}
    assert "port is already allocated" in docker.refused("run", "-p", f"{first}-{first + 2}:80", *SERVE)


def test_one_address_of_the_host(docker):
    port, other = free_port(), free_port(start=23000)
    publish(docker, "local", "--publish", f"127.0.0.1:{port}:80", "--publish", f"127.0.0.1:{other}:53/udp")
    assert docker("port", "local", "80/tcp") == f"127.0.0.1:{port}"
    assert served(docker, port) == "local"
    gateway = docker.inspect("local")["NetworkSettings"]["Gateway"]
    reach = f"wget -qO- http://{gateway}:{port}/hostname"
    assert docker.attempt("run", "--rm", "busybox", "sh", "-c", f"timeout 1 {reach}; exit $?").returncode != 0
    said = docker.refused("run", "--rm", "--publish", f"192.0.2.77:{port}:80", *SERVE)
    assert "cannot assign requested address" in said


def test_a_range_of_a_thousand(docker):
    first = free_port(1000)
    docker("run", "--detach", "--name", "range", "--publish", f"{first}-{first + 999}:{first}-{first + 999}",
           "busybox", "httpd", "-f", "-h", "/etc", "-p", str(first + 500))  # fmt: skip
    assert docker("ps", "--filter", "name=range", "--format", "{{.Ports}}").count("->") == 1
    assert served(docker, first + 500)
    assert len(docker.inspect("range")["NetworkSettings"]["Ports"]) == 1000


def test_a_port_in_use_is_refused_by_name_of_its_owner(docker):
    port = free_port()
    publish(docker, "first", "--publish", f"{port}:80")
    said = docker.refused("run", "--name", "second", "--publish", f"{port}:80", *SERVE)
    assert re.search(
        r"driver failed programming external connectivity on endpoint second \([0-9a-f]{64}\): "
        rf"Bind for 0.0.0.0:{port} failed: port is already allocated \(by container first\)",
        said,
    )
    assert docker.inspect("second")["State"]["Status"] == "created"
    docker("rm", "--force", "first")
    docker("start", "second")
    assert docker("port", "second", "80/tcp").splitlines()[0] == f"0.0.0.0:{port}"


def test_a_port_of_a_process_is_refused(docker):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = docker.refused("run", "--rm", "--publish", f"{port}:80", *SERVE)
    assert f"Bind for 0.0.0.0:{port} failed: port is already allocated (by " in said
    assert f"(pid {os.getpid()})" in said


def test_one_port_belongs_to_one_api(docker, space):
    node_port, port = free_port(start=30030, end=30058), free_port(start=30058, end=30086)  # given to nobody unasked
    space.kubectl("create", "service", "nodeport", "web", "--tcp=80:80", f"--node-port={node_port}")
    brief = ("run", "--rm", "--publish", f"{node_port}:80", "busybox", "true")
    space.wait_for(lambda: "already allocated" in docker.attempt(*brief).stderr)
    assert f"(by Service {space.namespace}/web)" in docker.refused(*brief)
    publish(docker, "mine", "--publish", f"{port}:80")
    space.kubectl("create", "service", "nodeport", "late", "--tcp=80:80", f"--node-port={port}")

    def told():
        return [event["message"] for event in space.json("get", "events")["items"] if event["type"] == "Warning"]

    space.wait_for(lambda: f"port {port}/TCP is already allocated to container mine" in told())
    assert served(docker, port) == "mine"


def test_of_those_who_want_one_port_at_once_one_gets_it(docker):
    port = free_port()
    ids = [docker("create", "--publish", f"{port}:80", *SERVE) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda one: docker.attempt("start", one), ids))
    assert sorted(one.returncode for one in done) == [0, 1, 1, 1, 1, 1]
    assert served(docker, port)


def test_ports_follow_the_way_out(docker):
    port = free_port()
    docker("network", "create", "--internal", "in")
    docker("network", "create", "out")
    publish(docker, "web", "--network", "in", "--publish", f"{port}:80")
    assert get(port) is None
    docker("network", "connect", "out", "web")
    assert (served(docker, port), docker("port", "web", "80/tcp")) == ("web", f"0.0.0.0:{port}")
    docker("network", "connect", "bridge", "web")
    docker("network", "disconnect", "out", "web")
    assert get(port) == "web"
    docker("network", "disconnect", "bridge", "web")
    assert get(port) is None
    assert docker.inspect("web")["NetworkSettings"]["Ports"] == {"80/tcp": None}


def test_a_network_may_say_where_its_ports_are(docker):
    docker("network", "create", "--opt", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1", "home")
    publish(docker, "web", "--network", "home", "--publish", "80")
    assert docker("port", "web", "80/tcp").startswith("127.0.0.1:")


def test_with_the_hosts_network_nothing_is_published(docker):
    done = docker.attempt("run", "--rm", "--network", "host", "--publish", "80:80", "busybox", "true")
    assert done.returncode == 0
    assert "Published ports are discarded when using host network mode" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--publish", "65536:80"),
        ("--publish", "0.0.0.999:80:80"),
        ("--publish", "80:80/icmp"),
        ("--publish", "10-5:80"),
    ],
)
def test_what_is_no_port_is_refused(docker, words):
    docker.refused("create", *words, *SERVE)


def test_ports_outlive_the_daemon(tmp_path):
    with Cloud.started(tmp_path) as cloud:

        def docker(*words):
            return cloud.docker(*words).stdout.strip()

        docker("pull", "--quiet", "busybox")
        port = free_port()
        docker("run", "--detach", "--name", "web", "--hostname", "web", "-p", f"{port}:80", "-p", "81", *SERVE)
        chosen = docker("port", "web", "81/tcp")
        cloud.wait_for(lambda: get(port))
        os.kill(cloud.daemon_pid, signal.SIGKILL)
        assert get(port) == "web"
        cloud.up()
        assert (get(port), docker("port", "web", "81/tcp")) == ("web", chosen)
        taken = cloud.docker("run", "--rm", "--publish", f"{port}:80", *SERVE, check=False)
        assert "(by container web)" in taken.stderr
        docker("rm", "--force", "web")
        assert get(port) is None
