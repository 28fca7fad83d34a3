"""From a record to what the runtime is told: pure, but for `find_workdir`.

Called by `containers` (bundle) and `execs` (process).
Source: OCI runtime specification 1.0; docker.md 6.1 for the defaults.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, replace

from coracle.core.errors import Invalid
from coracle.core.object import Object
from coracle.engine import inits, signals
from coracle.engine.joining import Joined, shares_memory
from coracle.engine.kinds import container as containers
from coracle.engine.kinds.container import ContainerSpec, Security, overlaid
from coracle.engine.users import Identity
from coracle.linux.idmaps import Users
from coracle.linux.rooted import make_directories
from coracle.runtime import profiles
from coracle.runtime.api import DEFAULT_CAPABILITIES, Bundle, Mount, Process

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# capabilities(7), up to Linux 5.9's last.
_NAMES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
CAPABILITIES = tuple(f"CAP_{name}" for name in _NAMES.split())

_SHM = "/dev/shm"  # noqa: S108 - where programs look for shared memory
SANDBOX_FILES = ("hosts", "hostname", "resolv.conf")  # bound over /etc/<name>


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What starting found out: where things are and as whom the program runs.

    `sandbox_path` holds SANDBOX_FILES; `workdir` exists in the root file system; `init_path` "": none.
    """

    rootfs_path: str
    sandbox_path: str
    log_path: str
    workdir: str
    identity: Identity
    joined: Joined
    init_path: str = ""


def bundle(record: Object, sandbox: Object, places: Places) -> Bundle:
    """What the runtime shall create for a container's record.  Raises Invalid (unknown capability)."""
    spec = containers.from_record(record)
    security, joined = spec.security, places.joined
    host_names = joined.utsns_path == "host"
    inits_mounts = (inits.mount_of(places.init_path),) if places.init_path else ()
    return Bundle(
        id=record.meta.name,
        rootfs_path=places.rootfs_path,
        process=first_process(spec, sandbox.spec["hostname"], places),
        hostname="" if host_names else sandbox.spec["hostname"],
        domainname="" if host_names else spec.domainname,
        mounts=(*_sandbox_mounts(spec, sandbox, places.sandbox_path), *spec.mounts, *inits_mounts),
        devices=spec.devices,
        resources=spec.resources,
        group=spec.group,
        device_rules=spec.device_rules,
        netns_path=sandbox.status["netns_path"],
        ipcns_path=joined.ipcns_path,
        utsns_path=joined.utsns_path,
        pidns_path=joined.pidns_path,
        users=users_of(sandbox),
        cgroupns=spec.cgroup_mode,
        read_only_root=security.read_only_root,
        privileged=security.privileged,
        seccomp="unconfined" if security.privileged and security.seccomp == "default" else security.seccomp,
        masked_paths=security.masked_paths,
        read_only_paths=security.read_only_paths,
        sysctls=sandbox.spec["sysctls"],
        annotations={"io.coracle.owner": spec.owner} if spec.owner else {},
        log_path=places.log_path,
        log_limit_bytes=spec.log_limit_bytes,
        stdin=spec.stdin,
        stdin_once=spec.stdin_once,
        shm=joined.shm,
        shm_bytes=spec.shm_bytes if spec.shm_bytes is not None else sandbox.spec["shm_bytes"],
    )


def users_of(sandbox: Object) -> Users | None:
    """None: the host's."""
    path = sandbox.status.get("users_path")
    return Users(path, sandbox.status["first_id"]) if path else None


def first_process(spec: ContainerSpec, hostname: str, places: Places) -> Process:
    """With an init in front where there is one."""
    first = process(spec, hostname, places.identity, places.workdir)
    return replace(first, argv=inits.wrapped(first.argv)) if places.init_path else first


def process(spec: ContainerSpec, hostname: str, identity: Identity, workdir: str) -> Process:
    """A program in a container."""
    return Process(
        argv=spec.argv or (),
        env=environment(spec, hostname, identity),
        cwd=workdir,
        uid=identity.uid,
        gid=identity.gid,
        groups=identity.groups,
        tty=spec.tty,
        tty_size=spec.tty_size,
        capabilities=capabilities(spec.security),
        no_new_privileges=spec.security.no_new_privileges,
        apparmor=spec.security.apparmor,
        rlimits=spec.rlimits,
        oom_score_adj=spec.oom_score_adj,
    )


def environment(spec: ContainerSpec, hostname: str, identity: Identity) -> tuple[str, ...]:
    """What every program finds (PATH, HOSTNAME, HOME, with a terminal TERM) unless image or creator say otherwise."""
    first = [DEFAULT_PATH, f"HOSTNAME={hostname}", *(["TERM=xterm"] if spec.tty else [])]
    found = overlaid(first, spec.env)
    return found if any(one.startswith("HOME=") for one in found) else (*found, f"HOME={identity.home or '/'}")


def check(spec: ContainerSpec) -> None:
    """What can be known to go wrong before anything is there.  Raises Invalid, Malformed, Unavailable (no init)."""
    signals.to_number(spec.stop_signal)
    capabilities(spec.security)
    if spec.security.seccomp.startswith("{"):
        profiles.check(spec.security.seccomp)
    if spec.init:
        inits.find_init()


def capabilities(security: Security) -> tuple[str, ...]:
    """The default set, with what is added and without what is dropped; a drop of one wins over an add of ALL.

    Raises: Invalid (no such capability).
    """
    if security.privileged:
        return CAPABILITIES
    add, drop = named_capabilities(security.add), named_capabilities(security.drop)
    kept = set() if "ALL" in drop else set(DEFAULT_CAPABILITIES)
    if "ALL" in add:
        kept = set(CAPABILITIES)
    kept = (kept | (add - {"ALL"})) - (drop - {"ALL"})
    return tuple(name for name in CAPABILITIES if name in kept)


def named_capabilities(names: Iterable[str]) -> set[str]:
    """In the kernel's words: "net_admin" -> "CAP_NET_ADMIN"; "ALL" stays.  Raises Invalid."""
    found = set()
    for name in names:
        word = name.upper()
        word = word if word == "ALL" or word.startswith("CAP_") else f"CAP_{word}"
        if word != "ALL" and word not in CAPABILITIES:
            raise Invalid(message=f'unknown capability: "{word[:40]}"')
        found.add(word)
    return found


def _sandbox_mounts(spec: ContainerSpec, sandbox: Object, sandbox_path: str) -> list[Mount]:
    """The sandbox's files and memory, where the creator does not put something else."""
    taken = {posixpath.normpath(mount.target) for mount in spec.mounts}
    read_only = spec.security.read_only_root
    mounts = [
        Mount(target=f"/etc/{name}", source=f"{sandbox_path}/{name}", read_only=read_only) for name in SANDBOX_FILES
    ]
    if shares_memory(spec, sandbox):
        mounts.append(Mount(target=_SHM, source=sandbox.status["shm_path"]))
    return [mount for mount in mounts if mount.target not in taken]


def clean_workdir(workdir: str) -> str:
    """A directory's path without detours.  Raises Invalid (not absolute, below /proc)."""
    clean = posixpath.normpath(workdir)
    if not clean.startswith("/") or "\0" in clean:
        raise Invalid(message=f"the working directory {workdir[:100]!r} is invalid, it needs to be an absolute path")
    _refuse_proc(clean, workdir)
    return clean


def find_workdir(rootfs_path: str, workdir: str) -> str:
    """Where the program begins: made if it is missing.  Blocks.

    Raises: Invalid (not absolute, below /proc, cannot be made).
    """
    clean = clean_workdir(workdir)
    if clean == "/":
        return clean
    try:
        _refuse_proc(make_directories(rootfs_path, clean), workdir)
    except OSError as error:
        raise Invalid(message=f"cannot make the working directory {clean}: {error.strerror}") from error
    return clean


def _refuse_proc(path: str, workdir: str) -> None:
    """/proc/self/fd/N leads out of the container (CVE-2024-21626)."""
    if path == "/proc" or path.startswith(("/proc/", "//")):
        raise Invalid(message=f"the working directory {workdir[:100]!r} is below /proc")
