"""`coracle compose convert`: kubectl runs what it writes to the same result as Compose runs the file."""

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / ".make/tools/cli-plugins/docker-compose"
LECTURE = ROOT / "examples/compose-lecture"

FIVE = """\
services:
  store:
    image: redis
    stop_grace_period: 1s
    healthcheck: {test: [CMD, redis-cli, ping], interval: 1s, timeout: 2s, retries: 5}
    expose: ["6379"]
    networks: {default: {aliases: [memory]}}
  late:
    image: busybox
    stop_grace_period: 1s
    command: sh -c 'sleep 1; touch /tmp/ready; exec sleep 1000'
    healthcheck: {test: test -f /tmp/ready, interval: 1s}
    init: true
  pages:
    image: busybox
    stop_grace_period: 1s
    command: [httpd, -f, -p, "8000", -h, /www]
    ports: ["18124:8000"]
    configs: [{source: page, target: /www/index.html}]
    volumes: ["found:/www/found:ro"]
  facts:
    image: busybox
    stop_grace_period: 1s
    hostname: facts
    user: "1000:50"
    environment: {PRICE: "$$(COST) $$$$5", COST: "1", EMPTY: ""}
    secrets: [password]
    read_only: true
    cap_drop: [ALL]
    sysctls: {net.ipv4.ip_unprivileged_port_start: 99}
    extra_hosts: ["far:10.99.0.1"]
    tmpfs: ["/scratch:size=1m"]
    shm_size: 32m
    working_dir: /usr
    entrypoint: [sh, -c]
    command:
      - |
        exec >/dev/shm/found 2>&1
        echo "$$PRICE|$$COST|$$EMPTY|$${UNSET-unset}|$$HOME"; id; pwd; hostname; cat /run/secrets/password
        touch /no || echo read-only; touch /scratch/yes && echo scratch
        grep CapEff /proc/self/status; cat /proc/sys/net/ipv4/ip_unprivileged_port_start
        grep -w far /etc/hosts | tr '\\t' ' '; df -k /dev/shm /scratch | awk 'NR>1 {print $$2, $$6}'
        env | grep -c STORE_PORT
        exec httpd -f -p 8000 -h /dev/shm
  asker:
    image: busybox
    stop_grace_period: 1s
    depends_on: {late: {condition: service_healthy}, store: {condition: service_healthy}}
    volumes: ["found:/found"]
    command:
      - sh
      - -c
      - |
        ask() { until wget -q -O - "$$1"; do sleep 0.2; done; }
        { ask http://facts:8000/found; ask http://pages:8000/; printf 'PING\\r\\n' | nc -w 1 memory 6379; } >/found/part
        mv /found/part /found/all
        exec sleep 1000
configs: {page: {content: "it counts\\n"}}
secrets: {password: {file: ./password}}
volumes: {found: {}}
"""


def fetch(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read().decode()
    except OSError:
        return ""


@pytest.fixture
def compose(cloud):
    def run(command, folder, *words):
        environment = {**cloud.environment, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(
            [*command, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{words} exited {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    return run


@pytest.fixture
def convert(cloud, compose):
    ours = [shutil.which("coracle") or str(ROOT / ".venv/bin/coracle"), "compose"]
    return lambda folder, *words: compose(ours, folder, "convert", *words)


@pytest.mark.parametrize("controller", ["deployment", "rc"])
def test_the_lectures_application(controller, convert, docker, space, tmp_path):
    """An image that is built, a directory of this machine, a volume, a link, a published port."""
    folder, page = shutil.copytree(LECTURE, tmp_path / "lecture"), "http://127.0.0.1:18126/"
    (file,) = folder.glob("*compose.y*ml")
    file.write_text(
        file.read_text().replace("5000:5000", "18126:5000")
    )  # the other is another test's, at the same time
    docker("build", "--quiet", "--tag", "lecture-web", str(folder))
    made = convert(folder, "--controller", controller, "--fill-volumes")
    assert "services.web.build: build lecture-web" in made.stderr
    space.kubectl("apply", "-f", "-", input=made.stdout)
    assert space.wait_for(lambda: fetch(page)) == "Hello! This page has been seen 1 times.\n"
    assert fetch(page).endswith("2 times.\n")
    kind = {"rc": "replicationcontroller"}.get(controller, controller)
    assert space.text("exec", f"{kind}/web", "--", "cat", "/var/log/visits.log").splitlines()[-1].endswith(" 2")
    of_the_image = docker("run", "--rm", "lecture-web", "sh", "-c", "cd /var/log; stat -c '%n %u:%g %a' *").splitlines()
    found = space.text("exec", f"{kind}/web", "--", "sh", "-c", "cd /var/log; stat -c '%n %u:%g %a' *").splitlines()
    assert [line for line in found if not line.startswith("visits.log ")] == of_the_image != []
    again = space.text("apply", "-f", "-", input=made.stdout).splitlines()
    assert [line for line in again if not line.endswith(" unchanged")] == []
    space.kubectl("delete", "-f", "-", input=made.stdout)
    space.wait_for(lambda: not fetch(page))


def test_five_services_answer_as_under_compose(cloud, compose, convert, docker, space, tmp_path):
    (tmp_path / "compose.yaml").write_text(FIVE)
    (tmp_path / "password").write_text("secret\n")
    answers = ("http://127.0.0.1:18124/", "http://127.0.0.1:18124/found/all")

    def answered():
        found = [fetch(url) for url in answers]
        return found if all(found) else None

    theirs = [str(PLUGIN), "--project-name", "five"]
    try:
        compose(theirs, tmp_path, "up", "--detach", "--quiet-pull")
        under_compose = docker.wait_for(answered)
    finally:
        compose(theirs, tmp_path, "down", "--volumes", "--timeout", "0")
    assert "PONG" in under_compose[1]
    assert "$(COST) $$5|1||unset|/" in under_compose[1]

    made = convert(tmp_path, "--namespace", space.namespace)
    assert "compose.yaml:13: services.late.init: no init process is put in" in made.stderr
    space.kubectl("apply", "-f", "-", input=made.stdout)
    assert space.wait_for(answered) == under_compose
    (asker,) = space.json("get", "pods", "--selector", "app.kubernetes.io/name=asker")["items"]
    assert [one["name"] for one in asker["status"]["initContainerStatuses"]] == ["wait-for-late", "wait-for-store"]

    changed = FIVE.replace("it counts", "it changes")
    (tmp_path / "compose.yaml").write_text(changed)
    convert(tmp_path, "--output", "out/", "--format", "json")
    applied = space.text("apply", "-f", str(tmp_path / "out"))
    assert {line.split()[0] for line in applied.splitlines() if line.endswith(" configured")} == {
        "configmap/page",
        "deployment.apps/pages",
    }
    space.wait_for(lambda: fetch(answers[0]) == "it changes\n")


ENDING = """\
services:
  migrate:
    image: busybox
    restart: on-failure
    volumes: ["data:/data"]
    command: sh -c '[ -e /data/tried ] || { touch /data/tried; exit 1; }; echo migrated > /data/done'
  once: {image: busybox, command: "true", restart: "no", scale: 2}
  every: {image: busybox, command: sleep 1000, deploy: {mode: global}, stop_grace_period: 0s}
  web:
    image: busybox
    command: httpd -f -p 8000 -h /data
    stop_grace_period: 0s
    volumes: ["data:/data"]
    ports: ["127.0.0.1:18125:8000"]
    depends_on: {migrate: {condition: service_completed_successfully}}
volumes: {data: {}}
"""


def test_services_that_end_and_services_of_every_node(convert, space, tmp_path):
    (tmp_path / "compose.yaml").write_text(ENDING)
    made = convert(tmp_path)
    assert "services.web.depends_on.migrate.condition: Kubernetes does not wait for a Job" in made.stderr
    space.kubectl("apply", "-f", "-", input=made.stdout)
    space.wait_for(lambda: fetch("http://127.0.0.1:18125/done") == "migrated\n")
    space.wait_for(lambda: space.json("get", "job", "migrate")["status"]["succeeded"] == 1)
    space.wait_for(lambda: space.json("get", "job", "once")["status"]["succeeded"] == 2)
    space.wait_for(lambda: space.json("get", "daemonset", "every")["status"]["numberReady"] == 1)
    (migrate,) = space.json("get", "pods", "--selector", "app.kubernetes.io/name=migrate")["items"]
    assert migrate["status"]["containerStatuses"][0]["restartCount"] == 1


def test_what_is_written_is_what_kubectl_reads(convert, space, tmp_path):
    """Values that YAML's readers disagree about."""
    values = [
        "yes",
        "on",
        "1e3",
        "0x1F",
        "0o17",
        "1_000",
        "12:30:45",
        "~",
        "null",
        ".5",
        "a: b",
        "#",
        "é",
        "two\nlines\n",
    ]
    given = {f"V{number}": value for number, value in enumerate(values)}
    (tmp_path / "compose.json").write_text(json.dumps({"services": {"a": {"image": "x", "environment": given}}}))
    command = ["-f", "compose.json"]
    made = convert(tmp_path, "--help").stdout
    assert "as Kubernetes manifests" in made
    shutil.move(tmp_path / "compose.json", tmp_path / "compose.yaml")
    made = convert(tmp_path, *command[2:])
    read = space.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", input=made.stdout).stdout
    decoder, objects, at = json.JSONDecoder(), [], 0
    while at < len(read.rstrip()):
        found, at = decoder.raw_decode(read, at)
        objects.append(found)
        at += 1
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {one["name"]: one["value"] for one in env} == given
