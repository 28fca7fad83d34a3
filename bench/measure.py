"""What the benchmarks share: a cloud to measure, a small API client, medians, and how an answer is printed."""

import base64
import contextlib
import http.client
import json
import os
import platform
import ssl
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml

from coracle.testing.cloud import Cloud

_ANSWERS = Path(__file__).parents[1] / ".make/bench.jsonl"
_LOAD = os.getloadavg()[0]


@contextlib.contextmanager
def a_cloud():
    with (
        tempfile.TemporaryDirectory(prefix="coracle-bench-", dir="/var/tmp") as root,
        Cloud.started(Path(root)) as cloud,
    ):
        yield cloud


class Api:
    """JSON over one kept connection, with the administrator's certificate."""

    def __init__(self, cloud):
        config = yaml.safe_load((cloud.root / "kubeconfig").read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.host, self.port = cluster["server"].removeprefix("https://").split(":")
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pem:
            for part in ("client-certificate-data", "client-key-data"):
                pem.write(base64.b64decode(user[part]))
            pem.flush()
            self.context.load_cert_chain(pem.name)
        self.connection = self.connect()

    def connect(self):
        return http.client.HTTPSConnection(self.host, int(self.port), context=self.context, timeout=120)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        said = json.loads(answer.read())
        assert answer.status < 300, said
        return said

    def watch(self, path):
        """Events as they come, from a connection of its own."""
        connection = self.connect()
        connection.request("GET", path)
        for line in connection.getresponse():
            yield json.loads(line)


def api_for_pods(cloud):
    """As soon as pods can be made: their account is there."""
    cloud.wait_for(lambda: cloud.kubectl("get", "serviceaccount", "default").stdout)
    return Api(cloud)


class PodWatch:
    """Remembers when each pod of a namespace was first seen in a phase, and when it went."""

    def __init__(self, api, namespace="default"):
        self.seen = {}
        self.changed = threading.Condition()
        revision = api.call("GET", f"/api/v1/namespaces/{namespace}/pods")["metadata"]["resourceVersion"]
        path = f"/api/v1/namespaces/{namespace}/pods?watch=true&resourceVersion={revision}"
        threading.Thread(target=self._follow, args=(api, path), daemon=True).start()

    def _follow(self, api, path):
        for event in api.watch(path):
            pod = event["object"]
            what = "gone" if event["type"] == "DELETED" else pod["status"].get("phase", "")
            with self.changed:
                self.seen.setdefault((pod["metadata"]["name"], what), time.perf_counter())
                self.changed.notify_all()

    def wait(self, names, what, timeout_s=120):
        """When the last of `names` was seen so (perf_counter seconds)."""
        with self.changed:
            assert self.changed.wait_for(lambda: all((name, what) in self.seen for name in names), timeout_s), what
            return max(self.seen[name, what] for name in names)


def pod(name, image="busybox", command=("sleep", "3600")):
    container = {"name": "main", "image": image, **({"command": list(command)} if command else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 5},
    }


def pss_bytes(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def cpu_s(pids, *, children_of=()):
    """Processor seconds that the processes have used, and the ended children of some of them."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11 : 15 if pid in children_of else 13]))
    return ticks / 100


def own_pids(cloud):
    """The daemon and the monitors of its containers."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_own(pid, cloud.name)]


def _is_own(pid, name):
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return Path(words[0]).name.startswith(("python", "conmon")) and any(name in word for word in words[1:])
    return False


def idle_percent(cloud, seconds):
    """Of one core: what all processes of a cloud use that is left alone, and what they have run meanwhile."""
    daemon, pids = {cloud.daemon_pid}, own_pids(cloud)
    begun, used = time.perf_counter(), cpu_s(pids, children_of=daemon)
    time.sleep(seconds)
    return 100 * (cpu_s(pids, children_of=daemon) - used) / (time.perf_counter() - begun)


def timed(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def report(question, rows):
    """`rows`: (what, values, unit, goal text), and perhaps what is known of others.

    Printed as a Markdown table, with the machine, as the answer to keep; also kept as JSON lines in .make/bench.jsonl.
    """
    at, load = f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z", [round(number, 2) for number in (_LOAD, os.getloadavg()[0])]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, {platform.python_version()}"
    print(f"\n## {question}\n{at}, {machine}; load average {load[0]} before, {load[1]} after\n")
    table = [("what", "median", "of n, min to max", "goal", "beside it"), *map(_shown, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, tuple("-" * width for width in widths))
    for line in table:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
    _ANSWERS.parent.mkdir(exist_ok=True)
    with _ANSWERS.open("a") as file:
        for what, values, unit, goal, *beside in rows:
            said = {"what": what.strip(), "unit": unit, "values": values, "goal": goal, "beside": "".join(beside)}
            file.write(json.dumps({"question": question, "at": at, "load": load, **said}) + "\n")


def _shown(row):
    what, values, unit, goal, *beside = row
    spread = f"{len(values)}: {min(values):.4g} to {max(values):.4g}" if len(values) > 1 else ""
    return what, f"{statistics.median(values):.4g} {unit}", spread, goal, "".join(beside)
