"""testcontainers for Python, unmodified, its reaper included."""

import subprocess
import sys

SCRIPT = """
import urllib.request
from testcontainers.core.container import DockerContainer, Reaper
from testcontainers.core.waiting_utils import wait_for_logs
from testcontainers.core.wait_strategies import HttpWaitStrategy

with DockerContainer("nginx").with_exposed_ports(80) as web:
    HttpWaitStrategy(80, "/").wait_until_ready(web)
    host, port = web.get_container_host_ip(), web.get_exposed_port(80)
    print("page", len(urllib.request.urlopen(f"http://{host}:{port}/").read()))

left = DockerContainer("busybox").with_command("sh -c 'echo ready; sleep 1000'").with_name("left-behind")
left.start()
wait_for_logs(left, "ready")
print("left", left.get_wrapped_container().id)
import os, sys
sys.stdout.flush()
os._exit(0)  # as a test run that is killed: nobody cleans up but the reaper
"""


def test_a_session_that_is_killed_is_cleaned_up_after(docker):
    environment = {**docker.environment, "RYUK_RECONNECTION_TIMEOUT": "1s", "TESTCONTAINERS_RYUK_PRIVILEGED": "false"}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert int(words[words.index("page") + 1]) > 100
    name = "name=left-behind|testcontainers-ryuk"
    assert docker("ps", "-aq", "--filter", "name=left-behind")
    docker.wait_for(lambda: not docker("ps", "-aq", "--filter", name))
