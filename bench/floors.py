"""The bare floor: crun over an overlay in a network namespace with a veth on a bridge, and nothing else.

No addresses are managed, nothing is logged, watched, published or kept apart from the host by seccomp.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import timed

_BRIDGE = "corfloor0"
_START = """
set -e
n=$1; root=$2
ip netns add corfloor$n
ip link add corfl$n type veth peer name eth0 netns corfloor$n
ip link set corfl$n master {bridge} up
ip -n corfloor$n addr add 10.199.0.$((n + 2))/24 dev eth0
ip -n corfloor$n link set eth0 up
ip -n corfloor$n link set lo up
mkdir -p $root/$n/upper $root/$n/work $root/$n/rootfs
mount -t overlay overlay -o lowerdir=$root/image,upperdir=$root/$n/upper,workdir=$root/$n/work $root/$n/rootfs
sed "s/@N@/$n/" $root/config.json > $root/$n/config.json
cd $root/$n && crun --root $root/state run --detach corfloor$n < /dev/null > /dev/null 2>&1
"""
_STOP = """
n=$1; root=$2
crun --root $root/state delete --force corfloor$n
umount $root/$n/rootfs
ip netns delete corfloor$n
"""


class Floor:
    """Containers of an unpacked image; `archive` is what `docker export` of a container wrote."""

    def __init__(self, root, archive, argv):
        self.root = root
        image = Path(root, "image")
        image.mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", image], check=True)
        for directory in ("proc", "dev", "sys"):
            (image / directory).mkdir(exist_ok=True)
        subprocess.run(["crun", "spec"], cwd=root, check=True)
        config = Path(root, "config.json")
        spec = json.loads(config.read_text())
        spec["process"] |= {"args": argv, "terminal": False}
        spec["process"]["capabilities"] = {
            name: ["CAP_NET_BIND_SERVICE", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_KILL"]
            for name in ("bounding", "effective", "permitted")
        }
        spec["root"] = {"path": "rootfs", "readonly": False}
        for namespace in spec["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = "/run/netns/corfloor@N@"
        config.write_text(json.dumps(spec))

    def start(self, n):
        self._do(_START.format(bridge=_BRIDGE), n)

    def stop(self, n):
        self._do(_STOP, n)

    def start_s(self, count, clients):
        return timed(lambda: self._each(self.start, count, clients))

    def stop_s(self, count, clients):
        return timed(lambda: self._each(self.stop, count, clients))

    def _each(self, action, count, clients):
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(action, range(count)))

    def _do(self, script, n):
        subprocess.run(["sh", "-c", script, "sh", str(n), self.root], check=True)


@contextlib.contextmanager
def floor(archive, argv):
    """In a mount namespace without `unified`, which is this process's own from now on."""
    os.makedirs("/run/netns", exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="floor-", dir="/var/tmp") as root:
        subprocess.run(["ip", "link", "add", _BRIDGE, "type", "bridge"], check=True)
        try:
            subprocess.run(["ip", "addr", "add", "10.199.0.1/24", "dev", _BRIDGE], check=True)
            subprocess.run(["ip", "link", "set", _BRIDGE, "up"], check=True)
            yield Floor(root, archive, argv)
        finally:
            subprocess.run(["ip", "link", "delete", _BRIDGE], check=False)
            shutil.rmtree(f"{root}/state", ignore_errors=True)
