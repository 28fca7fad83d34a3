"""What `coracle compose` asks of Docker's API, beside what the real Compose v2 asks for the same file."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from contract.recorder import IMAGE_ID, IMAGE_VOLUME, Recorder
from coracle.compose.create import labels
from coracle.compose.create.attaching import Other
from coracle.compose.create.containers import OneOff, Origin, container_body, container_name, wanted_hash
from coracle.compose.create.files import archive
from coracle.compose.create.networks import network_body
from coracle.compose.create.preparing import prepared
from coracle.compose.create.volumes import volume_body
from coracle.compose.loader import Request, load
from coracle.compose.oneoff import Changes, changed

ROOT = Path(__file__).parents[2]
THEIRS = ROOT / ".make/tools/cli-plugins/docker-compose"
ENVIRONMENT = {"PATH": "/usr/bin", "HOME": "/nowhere", "DOCKER_CONFIG": "/nowhere/docker", "SECRET": "s3cret"}

FILE = """
services:
  least: {image: x}
  words: {image: x, command: [a, "b c"], entrypoint: [], user: "1000:1000", working_dir: /w, hostname: h, domainname: d, container_name: own}
  nothing: {image: x, entrypoint: /bin/sh -c, command: }
  variables: {image: x, environment: {A: 1, B: , C: "", D: "x=y"}, labels: {a: b, c: }, annotations: {d: e}}
  terminal: {image: x, tty: true, stdin_open: true, init: true, read_only: true, privileged: true}
  noinit: {image: x, init: false}
  stops: {image: x, stop_signal: SIGUSR1, stop_grace_period: 1m30s}
  stops-quickly: {image: x, stop_grace_period: 500ms}
  checked: {image: x, healthcheck: {test: [CMD, a], interval: 1m30s, timeout: 1.5s, retries: 5, start_period: 3s, start_interval: 500ms}}
  unchecked: {image: x, healthcheck: {disable: true}}
  shell-check: {image: x, healthcheck: {test: curl -f localhost}}
  limits: {image: x, mem_limit: 64m, memswap_limit: -1, mem_reservation: 32m, mem_swappiness: 60, pids_limit: 5, cpus: 1.5, cpu_shares: 512, cpu_quota: 50000, cpu_period: 100000, cpuset: "0,1",
    cpu_count: 2, cpu_percent: 50, cpu_rt_period: 1000, cpu_rt_runtime: 500, oom_score_adj: -5, oom_kill_disable: true, shm_size: 64m, cgroup_parent: /p}
  no-pids: {image: x, pids_limit: -1}
  ulimits: {image: x, ulimits: {nproc: 65535, nofile: {soft: 10, hard: 20}}}
  blkio: {image: x, blkio_config: {weight: 300, weight_device: [{path: /dev/a, weight: 400}], device_read_bps: [{path: /dev/a, rate: 12mb}], device_write_bps: [{path: /dev/a, rate: 1k}],
    device_read_iops: [{path: /dev/a, rate: 120}], device_write_iops: [{path: /dev/a, rate: 30}]}}
  deployed: {image: x, deploy: {labels: [a=b], resources: {limits: {cpus: "0.25", memory: 50M, pids: 10}, reservations: {memory: 20m}}, restart_policy: {condition: on-failure, max_attempts: 3}}}
  deployed-any: {image: x, restart: "no", deploy: {restart_policy: {condition: any}}}
  restarts: {image: x, restart: "on-failure:3"}
  restarts-always: {image: x, restart: unless-stopped}
  logs: {image: x, logging: {driver: json-file, options: {max-size: 10m}}}
  devices: {image: x, devices: [/dev/fuse, "/dev/a:/dev/b:r"], device_cgroup_rules: ["c 1:3 mr"]}
  rights: {image: x, cap_add: [NET_ADMIN], cap_drop: [ALL], security_opt: ["no-new-privileges:true", "seccomp=unconfined", "label:disable"], group_add: [a, 5], userns_mode: host}
  bare: {image: x, security_opt: ["systempaths=unconfined"]}
  kernel: {image: x, sysctls: {net.core.somaxconn: 1024}, runtime: runc, ipc: host, pid: host, uts: host, cgroup: private}
  names: {image: x, dns: [1.1.1.1], dns_search: [a, b], dns_opt: ["ndots:1"], extra_hosts: ["h:1.2.3.4", "i=::1", "g:host-gateway"]}
  scratch: {image: x, tmpfs: [/run, "/tmp:size=1m,mode=1777"]}
  ports: {image: x, expose: ["5-7", "9/udp"], ports: ["8080:80", "127.0.0.1:90-91:90-91/udp", "70", "6000-6010:22", {target: 5, published: 55, mode: host}, "8081:80"]}
  mounts:
    image: x
    volumes: [".:/code:ro", "data:/data:nocopy", "/anonymous", "./z:/z:z", {type: tmpfs, target: /t, tmpfs: {size: 10m, mode: 0700}}, {type: bind, source: /b, target: /b, bind: {create_host_path: false}},
      {type: bind, source: /r, target: /r, bind: {propagation: rshared, create_host_path: true}}, {type: volume, source: data, target: /sub, read_only: true, volume: {subpath: a/b}},
      {type: volume, source: outer, target: /e, consistency: cached}, {type: bind, source: /plain, target: /plain}, {type: tmpfs, target: /u}, {type: volume, target: /v}]
  files: {image: x, configs: [c, {source: inline, target: /etc/inline, mode: 0440, uid: "7", gid: "8"}, {source: c, target: sub/c2}], secrets: [s, {source: f, target: here}, {source: f, target: /abs}]}
  nets: {image: x, mac_address: "02:42:ac:11:00:03", networks: {front: {ipv4_address: 10.9.0.9, ipv6_address: "fd00::9", priority: 10, link_local_ips: [169.254.1.1]}, default: {aliases: [a, b]}, far: {driver_opts: {k: v}}}}
  two-nets: {image: x, networks: [front, default]}
  own-mac: {image: x, networks: {default: {mac_address: "02:42:ac:11:00:04"}}}
  alone: {image: x, network_mode: none}
  hosted: {image: x, network_mode: host}
  bridged: {image: x, network_mode: bridge}
  joins: {image: x, network_mode: "service:least", ipc: "service:least", pid: "service:least"}
  joins-other: {image: x, network_mode: "container:zz"}
  borrows: {image: x, volumes_from: [least, "container:zz"]}
  links: {image: x, links: ["scaled:s", least], external_links: ["zz:y", ww]}
  waits: {image: x, depends_on: {least: {condition: service_healthy, restart: true}, checked: {condition: service_completed_successfully, required: false}}}
  scaled: {image: x, deploy: {replicas: 2}}
  foreign: {image: x, platform: linux/amd64}
networks:
  front: {driver: bridge, internal: true, enable_ipv6: true, attachable: true, driver_opts: {a: 1}, labels: [x=y], ipam: {driver: default, config: [{subnet: 10.9.0.0/24, ip_range: 10.9.0.0/25, gateway: 10.9.0.1, aux_addresses: {h: 10.9.0.5}}]}}
  far: {external: true, name: ext-far}
volumes:
  data: {labels: [x=y]}
  outer: {external: true, name: ext-outer}
configs: {c: {file: ./c.txt}, inline: {content: "hello"}}
secrets: {s: {environment: SECRET}, f: {file: ./s.txt}}
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The project as we read it, and what Compose v2 had made of the same file."""
    folder = tmp_path_factory.mktemp("bodies")
    for name, text in {"compose.yaml": FILE, "c.txt": "c", "s.txt": "s"}.items():
        (folder / name).write_text(text)
    with Recorder(folder / "docker.sock") as docker:
        done = subprocess.run(
            [THEIRS, "--project-name", "demo", "up", "--no-start"],
            cwd=folder,
            env={**ENVIRONMENT, "DOCKER_HOST": f"unix://{folder}/docker.sock"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    request = Request(environment=ENVIRONMENT, working_directory=str(folder), project_name="demo")
    return prepared(load(request)), docker


def ours(project, docker, service, number, replaces="", **options):
    others = {}
    for one in docker.present.values():
        name = one["Names"][0][1:]
        others.setdefault(one["Labels"][labels.SERVICE], []).append(Other(one["Id"], name))
    origin = Origin(
        image=project.image_of(service),
        image_id=IMAGE_ID,
        hash=wanted_hash(project.model, service, IMAGE_ID),
        directory=project.directory,
        files=project.files,
        replaces=replaces,
    )
    return container_body(
        project.model,
        service,
        number,
        origin,
        others={name: sorted(listed) for name, listed in others.items()},
        image_volumes=[IMAGE_VOLUME],
        **options,
    )


def plain(value):
    """Without what says nothing, and lists whose order says nothing in one order."""
    if isinstance(value, dict):
        found = {key.removeprefix("n-"): plain(item) for key, item in value.items() if key not in IGNORED}
        for key in ("Mounts", "Binds", "Env", "Links", "Ulimits", "ExtraHosts"):
            if found.get(key):
                found[key] = sorted(found[key], key=str)
        return {
            key: item
            for key, item in found.items()
            if item not in (None, "", 0, False, {}, [0, 0]) and (item != [] or key in KEPT)
        }
    return [plain(item) for item in value] if isinstance(value, list) else value


IGNORED = ("IPAddress", "IPv6Gateway")  # of an endpoint that is to be made: Docker's side takes no notice
KEPT = ("Cmd", "Entrypoint", "MaskedPaths", "ReadonlyPaths")


def settled(body):
    """What is meant, where the two clients write it differently."""
    body = plain(body)
    ports = {}
    for port in body.pop("ExposedPorts", {}):
        number, _, protocol = port.partition("/")
        low, _, high = number.partition("-")
        ports |= {f"{each}/{protocol or 'tcp'}": True for each in range(int(low), int(high or low) + 1)}
    marks = body["Labels"]
    for label in (labels.CONFIG_HASH, labels.HASH):
        marks.pop(label, None)
    marks[labels.DEPENDS_ON] = sorted(filter(None, marks.get(labels.DEPENDS_ON, "").split(",")))
    return {**body, "ExposedPorts": ports}


def test_every_service(both):
    project, docker = both
    compared = 0
    for name, theirs in docker.made["containers"].items():
        service, number = theirs["Labels"][labels.SERVICE], int(theirs["Labels"][labels.NUMBER])
        assert container_name(project.model, service, number) == name
        body = ours(project, docker, service, number)
        assert settled(body) == settled(theirs), service
        assert docker.made["queries"][name].get("platform", "") == project.services[service].get("platform", "")
        compared += 1
    assert compared == len(project.services) + 1


@pytest.mark.parametrize(("kind", "body_of"), [("networks", network_body), ("volumes", volume_body)])
def test_networks_and_volumes(both, kind, body_of):
    project, docker = both
    bodies = {key: body_of(project.model, key) for key in project.model[kind]}
    made = {body["Name"]: plain(body) for body in bodies.values() if body is not None}
    for body in made.values():
        assert body["Labels"].pop(labels.HASH)
    assert made == {name: plain(body) for name, body in docker.made[kind].items()}
    assert [key for key, body in bodies.items() if body is None] == ["far" if kind == "networks" else "outer"]


def test_copied_files(both):
    project, docker = both
    (packed,) = docker.made["archives"].values()
    theirs = {}
    for _, data in packed:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            theirs |= {one.name.lstrip("/"): (entry(one), tar.extractfile(one).read()) for one in tar}
    with tarfile.open(fileobj=io.BytesIO(archive(project.model, "files"))) as tar:
        assert {one.name: (entry(one), tar.extractfile(one).read()) for one in tar} == theirs
    assert archive(project.model, "least") is None


RUNS = {
    "plain": ((), {}, {}),
    "detached": (("--detach", "--name", "own"), {}, {"name": "own"}),
    "removed": (
        ("--rm", "--use-aliases", "--service-ports", "--env", "A=2", "--env", "N=x=y", "--user", "5", "--workdir", "/r"),
        {"service_ports": True, "environment": {"A": "2", "N": "x=y"}, "user": "5", "working_dir": "/r"},
        {"auto_remove": True, "use_aliases": True},
    ),
    "changed": (
        ("--entrypoint", "sh -c", "--publish", "81:82", "--volume", "/h:/more", "--volume", "/other", "--label", "q=r",
         "--cap-add", "SYS_TIME", "--cap-drop", "NET_ADMIN"),
        {"entrypoint": "sh -c", "publish": ["81:82"], "volumes": ["/h:/more", "/other"], "labels": ["q=r"],
         "cap_add": ["SYS_TIME"], "cap_drop": ["NET_ADMIN"]},
        {},
    ),
}  # fmt: skip
ONE_OFF_FILE = """
services:
  db: {image: x}
  web: {image: x, command: [a], entrypoint: [e], ports: ["8080:80"], restart: always, links: [db], depends_on: [db], environment: {A: 1}, labels: {l: m}, cap_add: [NET_ADMIN],
    volumes: [".:/code", "vol:/v"], networks: {default: {aliases: [zz]}}, container_name: fixed, healthcheck: {test: [CMD, a]}, deploy: {replicas: 1}}
volumes: {vol: }
"""


@pytest.mark.parametrize("how", RUNS)
def test_a_one_off(tmp_path, how):
    options, changes, wanted = RUNS[how]
    (tmp_path / "compose.yaml").write_text(ONE_OFF_FILE)
    environment = {**ENVIRONMENT, "DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}
    with Recorder(tmp_path / "docker.sock") as docker:
        for words in (("up", "--no-start", "db"), ("run", "--no-deps", *options, "web", "ls")):
            command = [THEIRS, "--project-name", "demo", *words]
            subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False)
    (theirs,) = [body for body in docker.made["containers"].values() if body["Labels"][labels.SERVICE] == "web"]
    request = Request(environment=ENVIRONMENT, working_directory=str(tmp_path), project_name="demo")
    told = Changes(command=["ls"], directory=str(tmp_path), **changes)
    project = changed(prepared(load(request)), "web", told)
    slug = theirs["Labels"][labels.SLUG]
    named = {"name": f"demo-web-run-{slug[:12]}", "slug": slug, "attach_stdin": True, **wanted}
    body = ours(project, docker, "web", 1, one_off=OneOff(**named))
    assert settled(body) == settled(theirs)


def entry(member):
    return member.mode, member.uid, member.gid, member.size
