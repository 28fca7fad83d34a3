"""How long from `coracle up` to a Ready node seen by kubectl, and what does an empty cloud cost?

Floor in the same run: a Python interpreter that imports nothing, and one `kubectl version --client`.
"""

import subprocess
import sys
import time

from measure import a_cloud, idle_percent, own_pids, pss_bytes, report, timed

RUNS, IDLE_S = 7, 20


def ready(cloud):
    """Until kubectl has seen the node Ready."""
    cloud.up()
    while (
        "True"
        not in cloud.kubectl(
            "get", "nodes", "-o", 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}', check=False
        ).stdout
    ):
        time.sleep(0.01)


def main():
    with a_cloud() as cloud:
        starts_s = []
        for _ in range(RUNS):
            cloud.down()
            starts_s.append(timed(lambda: ready(cloud)))
        time.sleep(3)
        busy = idle_percent(cloud, IDLE_S)
        memory_mb = pss_bytes(own_pids(cloud)) / 1e6
    python_s = [timed(lambda: subprocess.run([sys.executable, "-c", ""], check=True)) for _ in range(RUNS)]
    command = ["kubectl", "version", "--client"]
    kubectl_s = [timed(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(RUNS)]
    report(
        "From `coracle up` to a Ready node seen by kubectl; an empty cloud at rest",
        [
            ("up -> node Ready seen by kubectl, warm", starts_s, "s", "goal <= 1.5"),
            ("  floor: python -c ''", python_s, "s", ""),
            ("  floor: kubectl version --client", kubectl_s, "s", ""),
            ("memory of all our processes, empty", [memory_mb], "MB PSS", "goal <= 120"),
            (f"processor at rest, over {IDLE_S} s", [busy], "%", "goal <= 0.5 of a core"),
        ],
    )


if __name__ == "__main__":
    main()
