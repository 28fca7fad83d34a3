"""How long do `up` and `down` of an application of five services take, beside Debian's docker.io?

Our own command, and Compose v2 on ours and on docker.io's engine, in the same run; images are present.  `up --wait`
ends when all are healthy.  Compose v2 looks every 0.5 s whether what it waits for is healthy, and first after 0.5 s.
Here it waits three times in a row (stores, api, all): below 1.5 s it cannot come.  So also `up -d` of the same services
without checks, and how long after its dependencies became healthy a service started.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from measure import report, timed
from peers import Engine, dockerd, ours

RUNS = 7
PLUGIN = Path(__file__).parents[1] / ".make/tools/cli-plugins/docker-compose"
SERVICE = """
  {name}:
    image: {image}
    init: true
    command: {command}
    volumes: ["{name}-data:/kept"]
    networks: [{networks}]
    depends_on: {depends}
"""
CHECK = """\
    healthcheck: {test: "true", interval: 1s}
"""
SLEEP = "sleep 1000"
SERVICES = (
    ("db", "busybox", SLEEP, "back", ()),
    ("cache", "busybox", SLEEP, "back", ()),
    ("worker", "busybox", SLEEP, "back", ("db", "cache")),
    ("api", "busybox", SLEEP, "back, front", ("db", "cache")),
    ("web", "busybox", "httpd -f -p 80", "front", ("api",)),
)


def application(*, checked):
    """A Compose file: data stores, two services upon them, a web server with a published port upon one of these."""
    condition = "service_healthy" if checked else "service_started"
    text = "services:"
    for name, image, command, networks, upon in SERVICES:
        depends = json.dumps({one: {"condition": condition} for one in upon})
        text += SERVICE.format(name=name, image=image, command=command, networks=networks, depends=depends)
        text += CHECK if checked else ""
    text += '    ports: ["28090:80"]\nnetworks: {front: {}, back: {}}\n'
    return text + "volumes: {" + ", ".join(f"{name}-data: {{}}" for name, *_ in SERVICES) + "}\n"


def main():
    with contextlib.ExitStack() as stack:
        coracle, cloud = stack.enter_context(ours())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-compose-", dir="/var/tmp")))
        cloud.coracle("images", "pull", "busybox")
        coracle.run("save", "-o", folder / "busybox.tar", "busybox")
        peer = stack.enter_context(dockerd())
        clients = [Client("coracle compose", coracle, [*cloud.command, "compose"]), Client("v2 on coracle", coracle)]
        if peer is not None:
            peer.run("load", "-i", folder / "busybox.tar")
            clients.append(Client("v2 on docker", peer))
        rows = []
        medians = {}
        for client in clients:
            times = measured(client, folder)
            for what, (values, unit, goal) in times.items():
                rows.append((f"{client.name}: {what}", values, unit, goal if client is clients[0] else ""))
            medians[client.name] = sorted(times[UP][0])[RUNS // 2]
        for client in clients[:2] if peer is not None else ():
            ratio = medians[client.name] / medians["v2 on docker"]
            rows.append((f"`up --wait`: {client.name} / v2 on docker", [ratio], "", "goal <= 0.3"))
        report("An application of five services: up, down", rows)


UP = "up --wait, to all healthy"


@dataclass
class Client:
    """A Compose client, and the engine that it drives."""

    name: str
    engine: Engine
    words: Sequence[str | Path] = (PLUGIN,)


def measured(client, folder):
    """What was measured -> (values, unit, goal)."""
    checked, plain = folder / "checked.yml", folder / "plain.yml"
    checked.write_text(application(checked=True))
    plain.write_text(application(checked=False))
    ups, downs, late, starts, again = [], [], [], [], []
    compose(client, plain, "up", "-d")
    compose(client, plain, "down", "-v")
    for _ in range(RUNS):
        ups.append(timed(lambda: compose(client, checked, "up", "--wait")))
        late += lateness(client, checked)
        again.append(timed(lambda: compose(client, checked, "up", "-d")))
        downs.append(timed(lambda: compose(client, checked, "down", "-v")))
        starts.append(timed(lambda: compose(client, plain, "up", "-d")))
        compose(client, plain, "down", "-v")
    return {
        UP: (ups, "s", "goal <= 1.5"),
        "up -d without health checks": (starts, "s", ""),
        "up -d where nothing changed": (again, "s", ""),
        "down -v": (downs, "s", "goal <= 1"),
        "healthy -> what waited for it has started": (late, "ms", "goal <= 200"),
    }


def compose(client, file, *words):
    """Its output."""
    engine = client.engine
    command = [*engine.inside, *client.words, "--project-name", "bench", "--file", file, *words]
    environment = {**os.environ, **engine.environment, "NO_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{client.name}: {words} exited {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def lateness(client, file):
    """Milliseconds from the last of its dependencies' becoming healthy to a service's start."""
    ids = compose(client, file, "ps", "--quiet").split()
    inspected = json.loads(client.engine.run("inspect", *ids))
    shown = {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in inspected}
    found = []
    for name, *_, upon in SERVICES:
        if upon:
            ready = max(moment(shown[one]["State"]["Health"]["Log"][0]["End"]) for one in upon)
            found.append(1000 * (moment(shown[name]["State"]["StartedAt"]) - ready))
    return found


def moment(text):
    """Seconds since 1970 of a time in UTC, of which Python reads no more than microseconds."""
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()


main()
