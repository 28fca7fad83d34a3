"""The bare floor: crun over an overlay in a network namespace with a veth on a bridge, and nothing else.

No addresses are managed, nothing is logged, watched, published or kept apart from the host by seccomp.
"""

import contextlib
import json
import os
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
ip link add corfl$n type veth peer name eth0 netns corfloor$n 2> /dev/null
ip link set corfl$n master {bridge} up 2> /dev/null
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

    def __init__(self, root, archive, argv, inside):
        self.root, self._inside = root, inside
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

    def start(self, count, clients):
        """Their addresses."""
        self._each(_START.format(bridge=_BRIDGE), count, clients)
        return [f"10.199.0.{n + 2}" for n in range(count)]

    def stop_s(self, count, clients):
        return timed(lambda: self._each(_STOP, count, clients))

    def _each(self, script, count, clients):
        words = [*self._inside, "sh", "-c", script, "sh"]
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda n: subprocess.run([*words, str(n), self.root], check=True), range(count)))


@contextlib.contextmanager
def floor(archive, argv):
    """In a mount namespace of its own, which does not show a hybrid layout's version 2 cgroups: crun refuses those."""
    os.makedirs("/run/netns", exist_ok=True)
    hide = "umount /sys/fs/cgroup/unified 2>/dev/null; echo; exec sleep infinity"
    with (
        tempfile.TemporaryDirectory(prefix="floor-", dir="/var/tmp") as root,
        subprocess.Popen(["unshare", "--mount", "sh", "-c", hide], stdout=subprocess.PIPE) as holder,
    ):
        try:
            holder.stdout.readline()
            subprocess.run(["ip", "link", "add", _BRIDGE, "type", "bridge"], check=True)
            subprocess.run(["ip", "addr", "add", "10.199.0.1/24", "dev", _BRIDGE], check=True)
            subprocess.run(["ip", "link", "set", _BRIDGE, "up"], check=True)
            yield Floor(root, archive, argv, ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt"])
        finally:
            subprocess.run(["ip", "link", "delete", _BRIDGE], check=False)
            holder.kill()
