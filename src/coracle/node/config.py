"""What one cloud is called and where it lives on the host: the only reader of the environment.

A cloud is known by its root directory and its name.  What must not collide with other clouds or with the host (subnets,
API port) is chosen at the first `up` and kept in `<root>/cloud.json`; from then on it stays.

    default cloud    /var/lib/coracle         name "coracle"      bridge coracle0      10.32.0.0/16, 100.64.0.0/16, 6443
    --name lab       /var/lib/coracle-lab     name "lab"          bridge cor1a2b0      the next that are free
    --root DIR       DIR                      name from DIR       likewise
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from coracle.core.errors import Conflict, Exhausted, Malformed
from coracle.node.files import aside, write_whole

DEFAULT_NAME = "coracle"
STATE = Path("/var/lib")
RUN = Path("/run/coracle")
CACHE = Path("/var/cache/coracle")
SYSCTLS = "sysctls.json"  # in RUN: what kernel settings were before the first cloud changed them
_KEPT = "cloud.json"
_CHOSEN = RUN / ".chosen"  # one file for each cloud that is, or was before a crash, up on this host
_BESIDE = {"kubelet.yaml", "registries.toml", "catalogue.toml", "certs.d", "lost+found"}  # there before the cloud
_STATE = "store.sqlite"
_CLOUDS = 30  # side by side on one host
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the first `up` chose."""

    pod_cidr: str
    service_cidr: str
    api_port: int


@dataclass(frozen=True, slots=True)
class Settings:
    """One cloud.  Directories: `root` keeps (state, images, logs), `run` is gone after a reboot (sockets, pins)."""

    name: str
    root: Path
    run: Path
    cache: Path
    chosen: Chosen

    @property
    def tag(self) -> str:
        """Seven bytes, begins every link's name: `coracle` for the default cloud, else `cor` and four hex digits."""
        return tag_of(self.name)

    @property
    def pods(self) -> IPv4Network:
        return IPv4Network(self.chosen.pod_cidr)

    @property
    def services(self) -> IPv4Network:
        return IPv4Network(self.chosen.service_cidr)

    @property
    def gateway(self) -> IPv4Address:
        """The bridge's address: where pods find the names, and the API behind the service `kubernetes`."""
        return self.pods.network_address + 1

    @property
    def api_port(self) -> int:
        return self.chosen.api_port

    @property
    def context(self) -> str:
        """The name of the kubeconfig context."""
        return self.name if self.name == DEFAULT_NAME else f"coracle-{self.name}"

    @property
    def kubeconfig_path(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def socket_path(self) -> Path:
        """The door of our own command line."""
        return self.run / "admin.sock"

    @property
    def docker_socket_path(self) -> Path:
        """Docker's door."""
        return self.run / "docker.sock"

    @property
    def log_path(self) -> Path:
        return self.root / "daemon.log"


def tag_of(name: str) -> str:
    return name if name == DEFAULT_NAME else "cor" + hashlib.sha256(name.encode()).hexdigest()[:4]


def settings_of(root: str | None, name: str | None, *, choose: bool = False) -> Settings | None:
    """The cloud meant by `--root` and `--name` (or CORACLE_ROOT, CORACLE_NAME).

    None where it has never been up, unless `choose`.
    Raises: Malformed (name), Conflict (a directory of something else), Exhausted (no free subnet or port).
    """
    root, name = root or os.environ.get("CORACLE_ROOT"), name or os.environ.get("CORACLE_NAME")
    name = name or (
        DEFAULT_NAME if root is None else "r" + hashlib.sha256(str(Path(root).resolve()).encode()).hexdigest()[:8]
    )
    if not _NAME.fullmatch(name):
        raise Malformed(f"invalid name {name!r}: at most 32 lower case letters, digits and '-'")
    directory = (
        Path(root).resolve() if root else STATE / (DEFAULT_NAME if name == DEFAULT_NAME else f"{DEFAULT_NAME}-{name}")
    )
    chosen = _kept(directory)
    if chosen is None:
        if not choose:
            return None
        chosen = _choose(directory, name)
    return Settings(name, directory, RUN / name, Path(os.environ.get("CORACLE_CACHE") or CACHE), chosen)


def proxies() -> dict[str, str]:
    """Through whom this process goes out, under the names that Docker gives them."""
    names = {"HttpProxy": "HTTP_PROXY", "HttpsProxy": "HTTPS_PROXY", "NoProxy": "NO_PROXY"}
    return {name: os.environ.get(variable, "") for name, variable in names.items()}


def clouds() -> Sequence[str]:
    """The names of the clouds that are, or were before a crash, up on this host."""
    return sorted(name for name, _entry in _registered())


def register(name: str, root: Path, chosen: Chosen) -> None:
    """Let the other clouds of this host know what is taken; they read at any moment."""
    _CHOSEN.mkdir(parents=True, exist_ok=True)
    new = _CHOSEN.with_name(f".{name}.new")
    new.write_text(json.dumps({"root": str(root), **asdict(chosen)}))
    new.replace(_CHOSEN / name)


def _registered() -> Iterator[tuple[str, dict[str, str]]]:
    """What `register` wrote of each cloud; one whose directory somebody deleted by hand has nothing any more."""
    for path in _CHOSEN.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # it is being purged
            entry = json.loads(path.read_text())
            if kept_path(Path(entry["root"])).exists():
                yield path.name, entry


def unregister(name: str) -> None:
    """Forget it, and those whose directories are gone.  The last cloud to go takes RUN along."""
    known = {*clouds()} - {name}
    for path in _CHOSEN.glob("*"):
        if path.name not in known:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        _CHOSEN.rmdir()
        if (RUN / SYSCTLS).exists() and not (RUN / SYSCTLS).stat().st_size:  # all are put back
            (RUN / SYSCTLS).unlink()
        (RUN / "lock").unlink(missing_ok=True)
        RUN.rmdir()


def kept_path(root: Path) -> Path:
    """What makes a directory a cloud's."""
    return root / _KEPT


def _kept(root: Path) -> Chosen | None:
    try:
        return Chosen(**json.loads(kept_path(root).read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _choose(root: Path, name: str) -> Chosen:
    """Choose, and keep.  One at a time on a host; what others keep is read from the list in RUN."""
    _check_empty(root)
    with _alone():
        taken = list(_taken_subnets())
        for number in range(_CLOUDS) if name == DEFAULT_NAME else range(1, _CLOUDS):
            pods, services = IPv4Network(f"10.{32 + number}.0.0/16"), IPv4Network(f"100.{64 + number}.0.0/16")
            if any(net.overlaps(pods) or net.overlaps(services) for net in taken):
                continue
            port = _free_port(6443 + number)
            chosen = Chosen(str(pods), str(services), port)
            root.mkdir(parents=True, exist_ok=True, mode=0o710)
            write_whole(kept_path(root), json.dumps(asdict(chosen)).encode(), 0o644)
            register(name, root, chosen)
            return chosen
    raise Exhausted("no free pair of subnets 10.x.0.0/16 and 100.x.0.0/16 on this host")


def _check_empty(root: Path) -> None:
    """The cloud's directory goes as a whole with `down --purge`: it must have nothing of anybody else's.

    Raises: Conflict.
    """
    try:
        found = set(os.listdir(root))
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise Conflict(f"{root} is not a directory") from error
    strange = sorted(found - _BESIDE - {aside(kept_path(root)).name})
    if strange and _STATE not in found:
        raise Conflict(
            f"{root} is not empty ({strange[0]}) and no cloud's: give --root a directory of its own, "
            "which down --purge will remove"
        )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    RUN.mkdir(parents=True, exist_ok=True, mode=0o711)
    with open(RUN / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _taken_subnets() -> Iterator[IPv4Network]:
    """The host's routes, and what other clouds of ours have chosen."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        words = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(words[n]), "little") for n in (1, 7))
        if mask:
            yield IPv4Network((address, mask.bit_count()))
    for subnet, _whose in others(""):
        yield subnet


def others(name: str) -> Iterator[tuple[IPv4Network, str]]:
    """What the clouds of this host have for pods and services, all but the one called `name`; and whose it is."""
    for cloud, entry in _registered():
        if cloud != name:
            yield IPv4Network(entry["pod_cidr"]), f"cloud {cloud}"
            yield IPv4Network(entry["service_cidr"]), f"cloud {cloud}"


def _free_port(first: int) -> int:
    for port in range(first, first + 500):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise Exhausted(f"no free port for the API from {first}")
