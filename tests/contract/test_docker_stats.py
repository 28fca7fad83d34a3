"""docker stats and docker top through the real client."""

import json
import socket

import pytest


@pytest.fixture(scope="module", autouse=True)
def busybox(cloud):
    cloud.docker("pull", "busybox")


def answer(docker, path):
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(60)
        opened.connect(str(docker.socket))
        opened.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        said = b""
        while piece := opened.recv(1 << 20):
            said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def throttled(docker, id):
    stats = answer(docker, f"/containers/{id}/stats?stream=0&one-shot=1")[1]
    return stats["cpu_stats"]["throttling_data"]["throttled_periods"]


def test_a_busy_container_is_seen_to_be_busy(docker):
    limits = ("--cpus", "0.1", "--memory", "64m", "--pids-limit", "77")
    id = docker("run", "--detach", *limits, "--name", "busy", "busybox", "sh", "-c", "while :; do :; done")
    status, stats = answer(docker, f"/containers/{id}/stats?stream=0")
    assert status == 200
    assert (stats["id"], stats["name"]) == (id, "/busy")
    assert stats["memory_stats"]["limit"] == 64 * 1024 * 1024
    assert 0 < stats["memory_stats"]["usage"] < 64 * 1024 * 1024
    assert stats["pids_stats"] == {"current": 1, "limit": 77}
    used = stats["cpu_stats"]["cpu_usage"]["total_usage"] - stats["precpu_stats"]["cpu_usage"]["total_usage"]
    machine = stats["cpu_stats"]["system_cpu_usage"] - stats["precpu_stats"]["system_cpu_usage"]
    share = used / machine * stats["cpu_stats"]["online_cpus"]
    assert 0 < share < 0.4  # a tenth of a processor is what it may have
    docker.wait_for(lambda: throttled(docker, id) > 0)
    assert stats["read"] > stats["preread"]
    shown = json.loads(docker("stats", "--no-stream", "--format", "json", "busy"))
    assert (shown["Name"], shown["ID"], shown["PIDs"]) == ("busy", id[:12], "1")
    assert shown["MemUsage"].endswith("/ 64MiB")


def test_traffic_is_counted_by_interface(docker):
    id = docker(
        "run", "--detach", "busybox", "sh", "-c", "ping -c 3 -i 0.05 $(ip route | awk '/default/{print $3}'); sleep 100"
    )
    docker.wait_for(lambda: "3 packets received" in docker("logs", id))
    links = answer(docker, f"/containers/{id}/stats?stream=0&one-shot=1")[1]["networks"]
    assert list(links) == ["eth0"]
    assert links["eth0"]["tx_bytes"] >= 3 * 84
    assert links["eth0"]["rx_packets"] >= 3


def test_one_that_does_not_run_uses_nothing(docker):
    id = docker("create", "busybox", "true")
    stats = answer(docker, f"/containers/{id}/stats?stream=0")[1]
    assert stats["memory_stats"] == {}
    assert stats["cpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert docker("stats", "--no-stream", "--format", "{{.MemUsage}}", id) == "0B / 0B"


def test_a_stream_has_an_object_each_second_and_ends_with_the_container(docker):
    id = docker("run", "--detach", "busybox", "sleep", "100")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(60)
        opened.connect(str(docker.socket))
        opened.sendall(f"GET /containers/{id}/stats HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        file = opened.makefile("rb")
        while file.readline().strip():
            pass
        first, second = json.loads(file.readline()), json.loads(file.readline())
        assert first["precpu_stats"]["system_cpu_usage"] < first["cpu_stats"]["system_cpu_usage"]
        assert second["precpu_stats"] == first["cpu_stats"]
        docker("rm", "--force", id)
        *_, last = file.readlines() or [b"{}"]
        assert json.loads(last) is not None
        file.close()


def test_everything_that_runs_is_shown_without_names(docker):
    ids = {docker("run", "--detach", "busybox", "sleep", "100")[:12] for _ in range(3)}
    assert ids <= set(docker("stats", "--no-stream", "--format", "{{.ID}}").split())


def test_top_lists_the_containers_processes_only(docker):
    id = docker("run", "--detach", "busybox", "sh", "-c", "sleep 1000 & exec sleep 2000")
    docker.wait_for(lambda: len(docker("top", id).splitlines()) == 3)
    lines = docker("top", id).splitlines()
    assert lines[0].split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert sorted(line.split(None, 7)[7].strip() for line in lines[1:]) == ["sleep 1000", "sleep 2000"]
    assert docker("top", id, "-o", "pid,args").splitlines()[0].split() == ["PID", "COMMAND"]
    assert docker("top", id, "aux").splitlines()[0].split()[:2] == ["USER", "PID"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "foo"), "foo"),
        (("-o", "args"), "Couldn't find PID field in ps output"),
        (("-o", "ppid=PID"), "is not allowed"),
    ],
)
def test_top_refuses_what_ps_or_we_cannot_read(docker, options, said):
    id = docker("run", "--detach", "busybox", "sleep", "100")
    assert said in docker.refused("top", id, *options)


def test_top_of_one_that_does_not_run(docker):
    id = docker("create", "busybox", "true")
    assert f"container {id} is not running" in docker.refused("top", id)
