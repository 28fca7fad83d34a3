"""One project with everything that a service may say, made by `coracle compose up`: read back from inside, and inspected."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

OURS = Path(sys.executable).with_name("coracle")
NAME = "fields"
IDLE = "image: busybox, command: sleep 1000, init: true, stop_grace_period: 0s"
FILE = f"""
name: {NAME}
services:
  least: {{{IDLE}, healthcheck: {{test: [CMD, "true"], interval: 30s}}}}
  many:
    image: busybox
    command: [sleep, "1000"]
    init: true
    stop_grace_period: 0s
    stop_signal: SIGUSR1
    depends_on: {{least: {{condition: service_healthy}}}}
    hostname: hh
    domainname: example
    user: "5:6"
    working_dir: /tmp
    environment: {{A: "1", B: two words, FROM_OUTSIDE: , NOWHERE: }}
    env_file: more.env
    labels: {{x: y}}
    annotations: {{n: m}}
    cap_drop: [ALL]
    cap_add: [CHOWN]
    mem_limit: 64m
    pids_limit: 50
    shm_size: 32m
    cpus: 0.5
    ulimits: {{nofile: {{soft: 100, hard: 200}}}}
    sysctls: {{net.core.somaxconn: 1024}}
    extra_hosts: ["h:1.2.3.4"]
    tmpfs: ["/scratch:size=1m"]
    security_opt: ["no-new-privileges:true"]
    group_add: ["77"]
    oom_score_adj: 100
    tty: true
    devices: ["/dev/zero:/dev/naught:r"]
    volumes: ["data:/data", "./c.txt:/mounted:ro", /anonymous, "./made/by/us:/host", {{type: tmpfs, target: /t, tmpfs: {{size: 10m, mode: 0700}}}}]
    configs: [c, {{source: inline, target: /etc/inline, mode: 0440, uid: "7", gid: "8"}}]
    secrets: [s, {{source: f, target: here}}]
    ports: ["127.0.0.1::81"]
    expose: ["5-7"]
    networks: {{front: {{ipv4_address: 10.99.77.9, mac_address: "02:42:ac:11:00:04", aliases: [zz], priority: 5, interface_name: lan0}}, default: }}
    logging: {{driver: json-file, options: {{max-size: 1m}}}}
    restart: on-failure:2
    deploy: {{labels: [a=b], resources: {{reservations: {{memory: 32m}}}}}}
  joins: {{{IDLE}, network_mode: "service:many", pid: "service:many", volumes_from: ["many:ro"]}}
  links: {{{IDLE}, links: ["least:l"], scale: 2, read_only: true, dns_search: [lan.example], dns_opt: ["ndots:3"]}}
networks: {{front: {{labels: [n=1], ipam: {{config: [{{subnet: 10.99.77.0/24, gateway: 10.99.77.77}}]}}}}}}
volumes: {{data: {{labels: [a=b]}}}}
configs: {{c: {{file: ./c.txt}}, inline: {{content: "hello $FROM_OUTSIDE"}}}}
secrets: {{s: {{environment: SECRET}}, f: {{file: ./s.txt}}}}
"""
OUTSIDE = {"FROM_OUTSIDE": "out", "SECRET": "s3cret"}

# what is asked inside -> what is answered; both sides without blanks at the ends
INSIDE = {
    "hostname": "hh",
    "id -u; id -g; id -G": "5\n6\n6 77",
    "pwd": "/tmp",
    'echo "$A,$B,$FROM_OUTSIDE,$MORE,${NOWHERE-unset}"': "1,two words,out,file,unset",
    "grep CapBnd /proc/1/status": "CapBnd:\t0000000000000001",
    "grep NoNewPrivs /proc/1/status": "NoNewPrivs:\t1",
    "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d ' ' -f 2": "32768",
    "df -k /scratch /t | tail -2 | tr -s ' ' | cut -d ' ' -f 2": "1024\n10240",
    "stat -c %a /t": "700",
    "ulimit -Sn; ulimit -Hn": "100\n200",
    "cat /proc/sys/net/core/somaxconn": "1024",
    "cat /proc/1/oom_score_adj": "100",
    "grep 1.2.3.4 /etc/hosts": "1.2.3.4\th",
    "cat /mounted /c; touch /mounted 2>&1": "c\nc\ntouch: /mounted: Read-only file system",
    "cat /etc/inline; stat -c '%u %g %a' /etc/inline": "cat: can't open '/etc/inline': Permission denied\n7 8 440",
    "cat /run/secrets/s /run/secrets/here": "s3crets",
    "ls /host": "",
    "ip -4 addr show lan0 | grep -o 'inet [^ ]*'; cat /sys/class/net/lan0/address": "inet 10.99.77.9/24\n02:42:ac:11:00:04",
    "test -c /dev/naught; echo $?": "0",
    "nslookup zz 2>/dev/null | grep -o '10.99.77.9'": "10.99.77.9",
    "nslookup least-1 2>/dev/null | grep -c '^Name'; nslookup fields-least-1 2>/dev/null | grep -c '^Name'": "0\n1",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cloud):
    """Where the project's files are; it is up."""
    folder = tmp_path_factory.mktemp("fields")
    for name, text in {"compose.yaml": FILE, "c.txt": "c\n", "s.txt": "s", "more.env": "MORE=file\nA=over\n"}.items():
        (folder / name).write_text(text)
    done = compose(cloud, folder, "up", "--detach", **OUTSIDE)
    assert done.returncode == 0, done.stderr
    assert "services.many.deploy.labels has no effect" in done.stderr
    yield folder
    done = compose(cloud, folder, "down", "--volumes", **OUTSIDE)
    assert done.returncode == 0, done.stderr


def compose(cloud, folder, *words, **environment):
    return subprocess.run(
        [OURS, "--root", str(cloud.root), "--name", cloud.name, "compose", *words],
        cwd=folder,
        env={**cloud.environment, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def inspected(cloud, name):
    return json.loads(cloud.docker("inspect", name).stdout)[0]


def test_what_a_service_says_is_seen_inside(cloud, folder):
    script = "".join(f"{{ {asked}; }} 2>&1; echo ----\n" for asked in INSIDE)
    answers = cloud.docker("exec", "--interactive", f"{NAME}-many-1", "sh", input=script).stdout.split("----\n")
    assert dict(zip(INSIDE, (answer.strip() for answer in answers), strict=False)) == INSIDE


def test_what_a_service_says_is_shown(cloud, folder):
    shown = inspected(cloud, f"{NAME}-many-1")
    config, host = shown["Config"], shown["HostConfig"]
    assert (config["Tty"], config["StopSignal"], config["StopTimeout"], config["Domainname"]) == (
        True,
        "SIGUSR1",
        0,
        "example",
    )
    assert config["Labels"]["x"] == "y"
    assert set(config["ExposedPorts"]) == {"5/tcp", "6/tcp", "7/tcp", "81/tcp"}
    assert (host["Memory"], host["MemoryReservation"], host["PidsLimit"], host["NanoCpus"]) == (
        64 << 20,
        32 << 20,
        50,
        500_000_000,
    )
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert host["Annotations"] == {"n": "m"}
    assert host["NetworkMode"] == f"{NAME}_front"
    (binding,) = shown["NetworkSettings"]["Ports"]["81/tcp"]
    assert binding["HostIp"] == "127.0.0.1"
    assert (folder / "made/by/us").is_dir()


def test_containers_made_of_others(cloud, folder):
    many, joins = (inspected(cloud, f"{NAME}-{name}-1") for name in ("many", "joins"))
    assert joins["HostConfig"]["NetworkMode"] == f"container:{many['Id']}"
    asked = "hostname; ps | grep -c '[s]leep 1000'; touch /data/x 2>&1; true"
    seen = cloud.docker("exec", f"{NAME}-joins-1", "sh", "-c", asked).stdout
    assert seen.splitlines() == ["hh", "4", "touch: /data/x: Read-only file system"]
    for number in (1, 2):
        asked = "grep -cw l /etc/hosts; grep -E '^(search|options)' /etc/resolv.conf; touch /x 2>&1; true"
        seen = cloud.docker("exec", f"{NAME}-links-{number}", "sh", "-c", asked).stdout
        assert seen.splitlines() == ["1", "search lan.example", "options ndots:3", "touch: /x: Read-only file system"]


def test_networks_and_volumes(cloud, folder):
    (network,) = json.loads(cloud.docker("network", "inspect", f"{NAME}_front").stdout)
    assert network["IPAM"]["Config"] == [{"Subnet": "10.99.77.0/24", "Gateway": "10.99.77.77"}]
    assert {"n": "1", "com.docker.compose.network": "front", "com.docker.compose.project": NAME}.items() <= network[
        "Labels"
    ].items()
    (volume,) = json.loads(cloud.docker("volume", "inspect", f"{NAME}_data").stdout)
    assert {"a": "b", "com.docker.compose.volume": "data"}.items() <= volume["Labels"].items()


def test_the_same_again_changes_nothing(cloud, folder):
    before = cloud.docker("ps", "--quiet", "--no-trunc", "--filter", f"label=com.docker.compose.project={NAME}").stdout
    done = compose(cloud, folder, "up", "--detach", **OUTSIDE)
    assert done.returncode == 0, done.stderr
    assert "Recreate" not in done.stderr
    after = cloud.docker("ps", "--quiet", "--no-trunc", "--filter", f"label=com.docker.compose.project={NAME}").stdout
    assert sorted(after.split()) == sorted(before.split())
    done = compose(cloud, folder, "up", "--detach", **{**OUTSIDE, "SECRET": "other"})
    assert f" Container {NAME}-many-1  Recreated" in done.stderr
    assert cloud.docker("exec", f"{NAME}-many-1", "cat", "/run/secrets/s").stdout == "other"
