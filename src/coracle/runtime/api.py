"""What makes and keeps containers: the Runtime Protocol and what it is told.

Terms.  A *container* here is one process tree in its own namespaces and cgroup, over a root file system that somebody
else has mounted, in a network namespace that somebody else has made.  The runtime neither knows images nor addresses.

Life.  `create` sets everything up and stops before the first instruction of the program; `start` lets it go; the end is
told once through `exits()`, with its code, also when it happened while nobody was listening (the monitor outlives us);
`delete` removes what is left.  `kill`, `exec`, `attach` are for containers that run.

    create --> created -- start --> running -- (ends by itself, or kill) --> stopped -- delete --> gone

Ids are texts of [a-zA-Z0-9_.-], unique in one cloud.
Source: OCI Runtime Specification 1.0, "Runtime and Lifecycle".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from coracle.core.errors import Invalid
from coracle.linux.idmaps import Users
from coracle.linux.usage import Usage

__all__ = ["DEFAULT_CAPABILITIES", "Adjusts", "Bundle", "Device", "Execution", "Exit", "Group", "Measures", "Mount",
           "Process", "Refusal", "Resources", "Runtime", "State", "Streams", "Usage"]  # fmt: skip

# The fourteen that Docker leaves a container (docker.md 6.1).
DEFAULT_CAPABILITIES = (
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
)  # fmt: skip


class Refusal(Invalid):
    """What the runtime's own program says when it will not: no such program, a mount that fails; in its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A program to run.  `env` as NAME=value; `uid`, `gid`, `groups` numeric (0..2^31-1): names were resolved before.

    `rlimits`: name without RLIMIT_ in lower case -> (soft, hard).  `tty_size`: (columns, rows), with `tty`.
    `apparmor`: the name of a profile that the kernel has loaded.
    """

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    umask: int = 0o022
    tty: bool = False
    tty_size: tuple[int, int] | None = None
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    no_new_privileges: bool = False
    apparmor: str = ""
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    oom_score_adj: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A bind mount of a host path (`source`), or a new file system (`type` tmpfs, proc, mqueue, ...).

    `mapped`: its files belong to the bundle's `users` already.
    """

    target: str
    source: str = ""
    type: str = "bind"
    options: tuple[str, ...] = ("rbind", "rprivate")
    read_only: bool = False
    mapped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device node of the host that the container may use; or a directory of them, taken with all that is in it."""

    path: str
    source: str
    access: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Limits, by cgroup v1 or v2.  None, empty: not limited.  What this kernel's groups do not have is left out.

    Units: bytes; `cpu_quota_us` per `cpu_period_us`; `cpu_shares` as in cgroup v1 (1024 is one share);
           `memory_swap_bytes` is memory and swap together; `blkio_weight` 10 to 1000; what is by device is
           (path of its node, weight, or bytes or operations a second).  -1 takes a limit of memory or pids away.
    """

    memory_bytes: int | None = None
    memory_swap_bytes: int | None = None
    memory_reservation_bytes: int | None = None
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    cpu_quota_us: int | None = None
    cpu_period_us: int = 100_000
    cpu_shares: int | None = None
    cpu_realtime_runtime_us: int | None = None
    cpu_realtime_period_us: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int | None = None
    blkio_weight: int | None = None
    blkio_weight_device: tuple[tuple[str, int], ...] = ()
    blkio_read_bps: tuple[tuple[str, int], ...] = ()
    blkio_write_bps: tuple[tuple[str, int], ...] = ()
    blkio_read_iops: tuple[tuple[str, int], ...] = ()
    blkio_write_iops: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Several containers that are limited together, beside each one's own limits: memory, quota and shares count.

    `name` is a text as an id is.
    """

    name: str
    resources: Resources = Resources()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All that `create` needs.

    `rootfs_path` is mounted and owned by the caller.  `netns_path`, `ipcns_path`, `utsns_path`, `pidns_path`: "" for a
    new one, "host" for the host's, else a path to join.  `log_path` "" keeps no log; `log_limit_bytes` rotates.
    `cgroupns` "private", "host", or "" for what is usual (private with cgroup v2).  `seccomp` "default", "unconfined",
    the path of a profile or its JSON text, in OCI's words or Docker's; `masked_paths`, `read_only_paths` None for the
    default lists.  `device_rules`: more devices that it may use, as "c 10:200 rwm".  `domainname` is the kernel's, for
    NIS.  `shm`: what is at /dev/shm: "" memory of its own (`shm_bytes`), "shared" the same for others to join,
    "of:<id>" that of a container that has "shared", "host", "none".

    `users`: a user namespace to join; then numbers are those inside, the root file system belongs to its users already,
    and the files of bind mounts are shown to them as their own.

    `stdin` gives it an input to attach to; with `stdin_once` that ends when the first who is attached leaves or closes
    it, without it stays open for the next (Docker's StdinOnce, Kubernetes' stdinOnce).
    """

    id: str
    rootfs_path: str
    process: Process
    hostname: str = ""
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    resources: Resources = Resources()
    group: Group | None = None
    netns_path: str = ""
    ipcns_path: str = ""
    utsns_path: str = ""
    pidns_path: str = ""
    users: Users | None = None
    cgroupns: str = ""
    domainname: str = ""
    device_rules: tuple[str, ...] = ()
    read_only_root: bool = False
    privileged: bool = False
    seccomp: str = "default"
    masked_paths: tuple[str, ...] | None = None
    read_only_paths: tuple[str, ...] | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    log_path: str = ""
    log_limit_bytes: int | None = None
    stdin: bool = False
    stdin_once: bool = False
    shm: str = ""
    shm_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exit:
    """A container has ended.  `code` is 128 + n for signal n; 255 with `known` False where the monitor was lost."""

    id: str
    code: int
    at_s: float
    oom_killed: bool = False
    known: bool = True


@dataclass(frozen=True, slots=True)
class State:
    """What the runtime knows of a container now.  `pid` 0 unless it is created or running; `paused`: it is frozen."""

    id: str
    state: Literal["created", "running", "stopped"]
    pid: int = 0
    paused: bool = False


class Streams(Protocol):
    """The standard streams of a running program, seen from outside."""

    async def write(self, data: bytes) -> None:
        """To its standard input; waits while it does not read."""
        ...

    def close_stdin(self) -> None: ...

    def resize(self, columns: int, rows: int) -> None: ...

    def __aiter__(self) -> AsyncIterator[tuple[Literal[1, 2], bytes]]:
        """What it writes: (1 stdout or 2 stderr, bytes), until all is said.  With a tty everything is 1."""
        ...

    def close(self) -> None:
        """Let go of the streams; the program goes on."""
        ...


class Execution(Streams, Protocol):
    """A program started in a running container by `exec`."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int:
        """Its exit code, 128 + n for signal n."""
        ...

    def signal(self, number: int) -> None: ...


class Runtime(Protocol):
    """Makes, keeps and ends containers.  Safe to call at once for different ids."""

    async def create(self, bundle: Bundle) -> int:
        """Set up everything; returns the pid of the waiting first process.

        Raises: Invalid (what it is told makes no sense), Refusal (no such program, a bad path), Conflict (what it wants
                to join is gone), AlreadyExists (id), Broken.  Nothing is left after a failure.
        """
        ...

    async def start(self, id: str) -> None:
        """Let the program go.  Raises NotFound, Conflict (not created), Refusal (the program cannot be executed)."""
        ...

    async def kill(self, id: str, signal: int, *, all: bool = False) -> None:
        """Send a signal to the first process, or to `all`.  One that has ended already is no error."""
        ...

    async def delete(self, id: str) -> None:
        """Remove everything of a container, killing what still runs.  Idempotent."""
        ...

    async def exec(self, id: str, process: Process, *, stdin: bool = False) -> Execution:
        """Run a program beside the first.  Raises NotFound, Conflict (not running), Refusal (cannot be executed)."""
        ...

    async def attach(self, id: str) -> Streams:
        """Join the first process's streams from now on, or before `start`, so that nothing is missed.

        Who attaches must read: a program waits when nobody takes what it writes.  Raises NotFound, Conflict (ended).
        """
        ...

    async def states(self) -> Sequence[State]:
        """Everything there is, for adoption after a restart."""
        ...

    def exits(self) -> AsyncIterator[Exit]:
        """Every end, also those since the last time somebody listened; each until `delete`, at least once."""
        ...

    def resize(self, id: str, columns: int, rows: int) -> None:
        """Its terminal has a new size.  Raises NotFound."""
        ...

    async def reopen_log(self, id: str) -> None:
        """Begin a new log file at the same path, after the old one was moved away."""
        ...


@runtime_checkable
class Adjusts(Protocol):
    """A Runtime that can change limits of, pause and resume a running container."""

    @property
    def lacking(self) -> frozenset[str]:
        """The fields of Resources that this machine cannot keep; they have no effect."""
        ...

    async def update(self, id: str, resources: Resources) -> None: ...
    async def update_group(self, group: Group) -> None:
        """Raises Invalid: less than is used, or than one of its containers may have."""
        ...

    async def pause(self, id: str) -> None: ...
    async def resume(self, id: str) -> None: ...


@runtime_checkable
class Measures(Protocol):
    """A Runtime that can say what a container uses, and which processes are in it."""

    def usage(self, id: str) -> Usage:
        """Raises NotFound."""
        ...

    def processes(self, id: str) -> Sequence[int]:
        """The host's numbers of all its processes, also those started by `exec`; empty where it has ended.

        Raises: NotFound.
        """
        ...
