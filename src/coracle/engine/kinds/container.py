"""Container: one program with its own processes and files, in a sandbox.

    created --start--> running --(ends)--> exited --start--> running ...
       \\--------------- start did not work --> failed

The record holds everything that starting needs, with the image's settings already merged in.  Named by the 64-digit
id that the engine chose; its own name is a claim, so that it means one container.

Status
    state        "created", "running", "exited", "failed"
    pid          of its first process while it runs, else 0
    started_at, finished_at   RFC 3339 with microseconds, "" before; while it runs again, the end of the last run
    exit_code    128 + n for signal n
    oom_killed   the kernel ended it for its memory limit
    reason       "OOMKilled", "CreateContainerError", "ContainerCannotRun", "ContainerStatusUnknown" or ""
    message      why, in the runtime's words
    log_path     its log; a ".1" beside it is what came before
    rootfs_path  its root file system while it runs
    paused       it runs, and its processes are frozen
    user         as whom its program runs: uid, gid, groups; absent before its first start
    details      what the API that it belongs to keeps of its life (health, restarts, published ports); opaque here
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object
from coracle.engine.kinds.image import combine
from coracle.runtime.api import Device, Group, Mount, Resources

TYPE = "Container.engine"
API = "engine/v1"
LOG_LIMIT_BYTES = 10 * 1024 * 1024  # as the kubelet's containerLogMaxSize


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What a container may do.

    add, drop         capabilities, with or without CAP_, or ALL; on top of the runtime's default set
    seccomp           "default", "unconfined", the path of a profile, or its JSON text in OCI's words or Docker's
    apparmor          the name of a profile that the host has loaded; "": none
    masked_paths, read_only_paths   None: the usual lists; empty: none
    """

    privileged: bool = False
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    read_only_root: bool = False
    seccomp: str = "default"
    apparmor: str = ""
    masked_paths: tuple[str, ...] | None = None
    read_only_paths: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What to make.

    sandbox      "": its own, which has the container's id for a name; it needs to be there at start only
    argv         None: what the image says (see `combine` for Docker's and Kubernetes' rules)
    env          NAME=value, over the image's
    workdir      "": the image's, else /
    user         "": the image's; "1000", "1000:1000", "name", "name:group"
    groups       more groups of the process, numbers or names
    memberships  whether those that /etc/group says count: "" for a user without a group, "all", "none"
    volumes      the names of those that its mounts show
    stop_signal  "": the image's, else SIGTERM
    pid_mode     "": its own processes only; "host"; "container:<id>"
    ipc_mode, uts_mode   "": the sandbox's (a new one where it has none); "private": its own; "host"; "container:<id>";
                 ipc_mode also "shareable" (its own, for others to join) and "none" (its own, without /dev/shm)
    cgroup_mode  "private", "host", or "" for what is usual here
    domainname   the kernel's, for NIS
    shm_bytes    of its /dev/shm; None: as the sandbox says
    log_files    how many files its log has, when they are full: at least 1
    device_rules more devices that it may use, as "c 10:200 rwm"
    init         a small first process that hands signals on and reaps (Docker's --init)
    tty_size     (columns, rows) at first, with `tty`
    stdin_once   see runtime.api.Bundle
    mark         an empty file that tells programs what they run in, "/.dockerenv"; no change of the container's
    keeps_log    whether anybody can read later what it wrote
    made_by      which API it belongs to: "docker"; "" for those whose maker finds them by sandbox
    details      what that API keeps with it; opaque here
    group        others with which it is limited together
    rlimits      name in lower case without RLIMIT_ -> (soft, hard)
    owner        who wants it, for messages: "Pod default/web"
    """

    name: str
    image: str
    sandbox: str = ""
    argv: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    memberships: Literal["", "all", "none"] = ""
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    security: Security = Security()
    tty: bool = False
    tty_size: tuple[int, int] | None = None
    stdin: bool = False
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    log_limit_bytes: int | None = LOG_LIMIT_BYTES
    oom_score_adj: int = 0
    pid_mode: str = ""
    devices: tuple[Device, ...] = ()
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    ipc_mode: str = ""
    uts_mode: str = ""
    cgroup_mode: str = ""
    domainname: str = ""
    shm_bytes: int | None = None
    log_files: int = 2
    device_rules: tuple[str, ...] = ()
    init: bool = False
    stdin_once: bool = False
    keeps_log: bool = True
    mark: str = ""
    made_by: str = ""
    group: Group | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


_LISTS = ("argv", "tty_size", "env", "groups", "device_rules", "volumes")


def to_record(id: str, spec: ContainerSpec, image_id: str) -> Object:
    """The record as it is first committed."""
    body = asdict(spec)
    del body["labels"]
    body["sandbox"] = spec.sandbox or id
    body["image_id"] = image_id
    status = {"state": "created", "pid": 0, "paused": False, "details": {}}
    return Object(KIND.name, Meta(name=id, labels=dict(spec.labels)), {"spec": body, "status": status}, API)


def from_record(record: Object) -> ContainerSpec:
    """The spec that `to_record` was given."""
    body: dict[str, Any] = {name: value for name, value in record.spec.items() if name != "image_id"}
    security: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in body["security"].items()}
    return ContainerSpec(
        **{
            **body,
            **{name: tuple(body[name]) for name in _LISTS if body.get(name) is not None},
            "labels": record.meta.labels,
            "mounts": tuple(Mount(**{**mount, "options": tuple(mount["options"])}) for mount in body["mounts"]),
            "devices": tuple(Device(**device) for device in body["devices"]),
            "resources": _resources(body["resources"]),
            "group": group_of(body.get("group")),
            "security": Security(**security),
            "rlimits": {name: (soft, hard) for name, (soft, hard) in body["rlimits"].items()},
        }
    )


def group_of(body: Mapping[str, Any] | None) -> Group | None:
    """As a record has it."""
    return Group(name=body["name"], resources=_resources(body["resources"])) if body else None


def _resources(body: Mapping[str, Any]) -> Resources:
    """Lists in it are of pairs."""
    given: dict[str, Any] = {name: tuple(map(tuple, v)) if isinstance(v, list) else v for name, v in body.items()}
    return Resources(**given)


def with_image(spec: ContainerSpec, config: Mapping[str, Any]) -> ContainerSpec:
    """`spec` with the image's settings where it says nothing itself.  Raises Invalid: nothing to run."""
    return replace(
        spec,
        argv=spec.argv if spec.argv is not None else combine(config),
        env=overlaid(config.get("env") or (), spec.env),
        workdir=spec.workdir or config.get("workdir") or "/",
        user=spec.user or config.get("user") or "",
        stop_signal=spec.stop_signal or config.get("stop_signal") or "SIGTERM",
    )


def overlaid(below: Iterable[str], above: Iterable[str]) -> tuple[str, ...]:
    """NAME=value lists joined: each name once, the later one's value in the earlier one's place."""
    values = {entry.partition("=")[0]: entry for entry in below}
    values.update({entry.partition("=")[0]: entry for entry in above})
    return tuple(values.values())


def key(id: str) -> Key:
    return Key("", id)


def name_claim(name: str) -> str:
    """The name under which a container's name is held (core.claims)."""
    return f"container-name/{name}"


def claims(container: Object) -> Iterable[str]:
    return (name_claim(container.spec["name"]),)


KIND = Kind(
    name="Container",
    plural="containers",
    api=API,
    namespaced=False,
    name_rule="record",
    counts_generations=False,
    claims=claims,
)
