"""How quick and how light are containers, beside Debian's docker.io and podman and the bare floor?

Peers are measured in the same run where they are installed.  Arguments choose: many, commands, logs, published.
"""

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from floors import floor
from measure import cpu_s, report, timed
from peers import dockerd, ours, podman

COUNT, IDLE_S, COMMANDS, LINES, WRK_S = 150, 10, 20, 1_000_000, 4
HERE = Path(__file__).parent
APACHE = ["httpd-foreground"]


def main():
    chosen = sys.argv[1:] or list(QUESTIONS)
    with contextlib.ExitStack() as stack:
        coracle, cloud = stack.enter_context(ours())
        archives = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-images-", dir="/var/tmp"))
        images = {}
        for image in ("busybox", "httpd", "nginx"):
            cloud.coracle("images", "pull", image)
            images[image] = f"{archives}/{image}.tar"
            coracle.run("save", "-o", images[image], image)
        others = [stack.enter_context(peer()) for peer in (dockerd, podman)]
        engines = [coracle, *(engine for engine in others if engine is not None)]
        for engine in engines[1:]:
            for archive in images.values():
                engine.run("load", "-i", archive)
        for name in chosen:
            question, rows_of, goals = QUESTIONS[name]
            rows = rows_of(coracle)
            for peer in engines[1:]:
                try:
                    rows += rows_of(peer)
                except (AssertionError, subprocess.CalledProcessError) as error:  # a peer's trouble is not the answer's
                    print(f"{peer.name} did not do it: {str(error)[:200]}", file=sys.stderr)
                    peer.run("rm", "-f", *peer.run("ps", "-aq").split(), check=False)
            if name == "many":
                rows += floor_rows(coracle, archives)
            report(question, [(*row, goals.get(row[0].removeprefix("coracle: "), "")) for row in rows])


# -- many at once ------------------------------------------------------------------------------------------------------


def many(engine):
    names = [f"bench-{n}" for n in range(COUNT)]
    before_bytes = engine.pss_bytes()
    one_by_one_s = timed(lambda: start(engine, names, clients=1))
    engine_bytes = engine.pss_bytes()
    pids = engine.own_pids()
    used_s = cpu_s(pids)
    time.sleep(IDLE_S)
    idle = 100 * (cpu_s(pids) - used_s) / IDLE_S
    slow_rm_s = timed(lambda: remove(engine, names, clients=1))
    by_four_s = timed(lambda: start(engine, names, clients=4))
    rm_s = timed(lambda: remove(engine, names, clients=4))
    return [
        (f"{engine.name}: started one after another", [one_by_one_s], "s"),
        (f"{engine.name}: started by 4 clients", [by_four_s], "s"),
        (f"{engine.name}: rm -f one after another", [slow_rm_s], "s"),
        (f"{engine.name}: rm -f by 4 clients", [rm_s], "s"),
        (f"{engine.name}: besides Apache, each", [(engine_bytes - before_bytes) / COUNT / 2**20], "MB PSS"),
        (f"{engine.name}: engine with no container", [before_bytes / 2**20], "MB PSS"),
        (f"{engine.name}: processor at rest, all running", [idle], "%"),
    ]


def start(engine, names, clients):
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda name: engine.run("run", "-d", "--name", name, "httpd"), names))
    answering(engine, engine.addresses(names))


def answering(engine, addresses):
    assert len(addresses) == COUNT, addresses
    subprocess.run([*engine.inside, sys.executable, HERE / "answering.py", *addresses], check=True)


def remove(engine, names, clients):
    force = ["rm", "-f", *(["-t0"] if engine.name == "podman" else [])]
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda name: engine.run(*force, name), names))


def floor_rows(engine, archives):
    archive = f"{archives}/rootfs.tar"
    engine.run("create", "--name", "floor", "httpd")
    engine.run("export", "-o", archive, "floor")
    engine.run("rm", "floor")
    rows = []
    with floor(archive, APACHE) as bare:
        for clients, words in ((1, "one after another"), (4, "by 4 clients")):
            started_s = timed(lambda clients=clients: answering(engine, bare.start(COUNT, clients)))
            rows.append((f"bare crun: started {words}", [started_s], "s"))
            rows.append((f"bare crun: removed {words}", [bare.stop_s(COUNT, clients)], "s"))
    return rows


# -- single commands ---------------------------------------------------------------------------------------------------


def commands(engine):
    engine.run("run", "-d", "--name", "there", "busybox", "sleep", "1000")
    rows = [
        (f"{engine.name}: {words}", times(engine, *words.split()), "ms")
        for words in (
            "run --rm busybox true",
            "run --rm --network none busybox true",
            "run --rm --network host busybox true",
            "exec there true",
            "version",
        )
    ]
    with tempfile.TemporaryDirectory(prefix="bench-context-", dir="/var/tmp") as context:
        steps = f"FROM busybox\nRUN echo {time.time_ns()} > /a\nRUN echo b > /b\nCOPY Dockerfile /c\n"
        Path(context, "Dockerfile").write_text(steps)
        build = ("build", "-t", "built", context)
        rows.append((f"{engine.name}: build of 3 steps, cold", [1000 * timed(lambda: engine.run(*build))], "ms"))
        rows.append((f"{engine.name}: build of 3 steps, cached", times(engine, *build), "ms"))
    engine.run("rm", "-f", "there")
    return rows


def times(engine, *words):
    engine.run(*words)
    return [1000 * timed(lambda: engine.run(*words)) for _ in range(COMMANDS)]


# -- logs --------------------------------------------------------------------------------------------------------------


def logs(engine):
    before_bytes = engine.pss_bytes()
    engine.run("create", "--name", "writer", "busybox", "sh", "-c", f"yes {'x' * 99} | head -n {LINES}")
    capture_s = timed(lambda: (engine.run("start", "writer"), engine.run("wait", "writer")))
    counts = [0]
    read_s = [timed(lambda: counts.append(lines_read(engine))) for _ in range(3)]
    grown_bytes = engine.pss_bytes() - before_bytes
    engine.run("rm", "-f", "writer")
    say = f"{engine.name}: {LINES:,} lines of 100 bytes, "
    return [
        (say + "captured", [capture_s], "s"),
        (say + "read back", read_s, "s"),
        (say + "and there were", [counts[-1]], "lines"),
        (f"{engine.name}: memory grown by it", [grown_bytes / 2**20], "MB PSS"),
    ]


def lines_read(engine):
    reader = engine.popen("logs", "writer", stdout=subprocess.PIPE)
    count = sum(block.count(b"\n") for block in iter(lambda: reader.stdout.read(1 << 20), b""))
    assert reader.wait() == 0
    return count


# -- published ports ---------------------------------------------------------------------------------------------------

NGINX = (
    "printf 'worker_processes 1; pid /tmp/n.pid; events {} http { access_log off; server { listen %s; "
    "root /usr/share/nginx/html; } }' > /tmp/n.conf; exec nginx -c /tmp/n.conf -g 'daemon off;'"
)


def published(engine):
    engine.run("run", "-d", "--name", "direct", "--network", "host", "nginx", "sh", "-c", NGINX % "127.0.0.1:28081")
    engine.run("run", "-d", "--name", "through", "-p", "28080:80", "nginx", "sh", "-c", NGINX % "80")
    pairs = [(rate(engine, 28081), rate(engine, 28080)) for _ in range(3)]
    engine.run("rm", "-f", "direct", "through")
    return [
        (f"{engine.name}: nginx on the host, 127.0.0.1", [host for host, _ in pairs], "req/s"),
        (f"{engine.name}: through -p on 127.0.0.1", [port for _, port in pairs], "req/s"),
        (f"{engine.name}: ratio", [port / host for host, port in pairs], ""),
        *many_ports(engine),
    ]


def many_ports(engine):
    before, before_bytes = len(engine.own_pids()), engine.pss_bytes()
    ports = ("run", "-d", "--name", "ports", "-p", "22000-22999:22000-22999", "busybox", "sleep", "1000")
    try:
        ports_s = timed(lambda: engine.run(*ports))
    except subprocess.CalledProcessError:
        return []  # podman holds a file for each port, more than this root may have
    rows = [
        (f"{engine.name}: run -d with 1,000 published ports", [1000 * ports_s], "ms"),
        (f"{engine.name}: more processes for them", [len(engine.own_pids()) - before], ""),
        (f"{engine.name}: more memory for them", [(engine.pss_bytes() - before_bytes) / 2**20], "MB PSS"),
    ]
    engine.run("rm", "-f", "ports")
    return rows


def rate(engine, port):
    url = f"http://127.0.0.1:{port}/"
    while subprocess.run([*engine.inside, "curl", "-sf", "-o", "/dev/null", url], check=False).returncode:
        time.sleep(0.05)
    wrk = [*engine.inside, "wrk", "-t1", "-c32", f"-d{WRK_S}s", url]
    said = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


QUESTIONS = {
    "many": (
        f"{COUNT} Apache containers with addresses of their own, all answering",
        many,
        {
            "started one after another": "goal <= 8",
            "started by 4 clients": "goal <= 4.5",
            "rm -f by 4 clients": "goal <= 3",
            "besides Apache, each": "goal <= 0.6",
            "processor at rest, all running": "goal <= 1",
        },
    ),
    "commands": (
        "Single commands through the command line",
        commands,
        {"run --rm busybox true": "goal <= 75", "exec there true": "goal <= 40"},
    ),
    "logs": (
        "A container that writes much",
        logs,
        {
            f"{LINES:,} lines of 100 bytes, captured": "goal <= 1.2",
            f"{LINES:,} lines of 100 bytes, read back": "goal <= 2",
        },
    ),
    "published": (
        "Published ports: nginx (one worker), wrk with 32 connections; and 1,000 ports",
        published,
        {"ratio": "goal >= 0.9"},
    ),
}

main()
