"""How much of nginx's throughput on the host is left through a NodePort on 127.0.0.1?

Peer in the same run: the same nginx program, from the same image, started on the host's network without any container.
"""

import re
import subprocess
import time
import urllib.request

from measure import a_cloud, report

RUNS, SECONDS = 5, 4
MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: %(name)s, labels: {app: %(name)s}}
spec: {hostNetwork: %(host)s, containers: [{name: www, image: nginx, command: [sh, -c, "%(command)s"]}]}
---
apiVersion: v1
kind: Service
metadata: {name: %(name)s}
spec: {type: NodePort, selector: {app: %(name)s}, ports: [{port: 80}]}
"""
PORT = 18080
# The same configuration for both, but for the address: one worker, no access log.
COMMAND = (
    "printf 'worker_processes 1; pid /tmp/n.pid; events {} http { access_log off; server { listen %(listen)s; "
    "root /usr/share/nginx/html; } }' > /tmp/n.conf; exec nginx -c /tmp/n.conf -g 'daemon off;'"
)


def rate(url):
    said = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{SECONDS}s", url], capture_output=True, text=True, check=True
    ).stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def answering(url):
    while True:
        try:
            return urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            time.sleep(0.05)


def main():
    with a_cloud() as cloud:
        for name, host, listen in (("plain", "false", "80"), ("host", "true", f"127.0.0.1:{PORT}")):
            command = COMMAND % {"listen": listen}
            cloud.kubectl("create", "-f", "-", input=MANIFEST % {"name": name, "host": host, "command": command})
        cloud.kubectl("wait", "--for=condition=Ready", "pod/plain", "pod/host", "--timeout=120s")
        port = cloud.json("get", "service", "plain")["spec"]["ports"][0]["nodePort"]
        through, direct = f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{PORT}/"
        for url in (through, direct):
            answering(url)
        pairs = [(rate(direct), rate(through)) for _ in range(RUNS)]
    report(
        "nginx (one worker), wrk with 32 connections",
        [
            ("on the host's network, 127.0.0.1", [host for host, _ in pairs], "req/s", ""),
            ("through a NodePort on 127.0.0.1", [node for _, node in pairs], "req/s", ""),
            ("ratio", [node / host for host, node in pairs], "", "goal >= 0.9"),
        ],
    )


main()
