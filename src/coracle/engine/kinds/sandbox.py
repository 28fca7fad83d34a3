"""Sandbox: a network identity that containers live in (a pod's, or one container's own).

Status
    state       "making" (journaled, not yet in the kernel), "ready"
    address     "10.32.0.5", "" with the host's network
    netns_path  where its network namespace is pinned; "host"
    ipcns_path, utsns_path   "" where every container gets its own; "host"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address

from coracle.core.errors import invalid
from coracle.core.kind import Kind, Problems
from coracle.core.object import Key, Meta, Object
from coracle.net.addresses import claim_of

TYPE = "Sandbox.engine"
API = "engine/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    """What /etc/resolv.conf says.  No servers: the host's own file is taken as it is."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """What to make.

    hostname    "" stands for the name's first 12 characters, as Docker does
    owner       who wants it, for messages: "Pod default/web"
    hosts       more lines of /etc/hosts: (address, name, ...)
    shm_bytes   size of /dev/shm of each container
    share_pid   the containers see each other's processes
    """

    name: str
    hostname: str = ""
    network: str = "pods"
    host_network: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    dns: DnsConfig = DnsConfig()
    hosts: tuple[tuple[str, ...], ...] = ()
    shm_bytes: int = 64 * 1024 * 1024
    sysctls: Mapping[str, str] = field(default_factory=dict)
    share_pid: bool = False


def to_record(spec: SandboxSpec) -> Object:
    """The record as it is first committed."""
    body = asdict(spec)
    del body["name"], body["labels"]
    body["hostname"] = spec.hostname or spec.name[:12]
    meta = Meta(name=spec.name, labels=dict(spec.labels))
    return Object(KIND.name, meta, {"spec": body, "status": {"state": "making"}}, API)


def key(name: str) -> Key:
    return Key("", name)


def claims(sandbox: Object) -> Iterable[str]:
    address = sandbox.status.get("address")
    return (claim_of(sandbox.spec["network"], IPv4Address(address)),) if address else ()


def _no_line_breaks(sandbox: Object) -> Problems:
    """Texts that end up as words in files hold no line breaks."""
    spec, dns = sandbox.spec, sandbox.spec["dns"]
    words = {
        "spec.hostname": [spec["hostname"]],
        "spec.dns": [*dns["servers"], *dns["searches"], *dns["options"]],
        "spec.hosts": [word for line in spec["hosts"] for word in line],
    }
    return [
        invalid(field, word, "must not contain line breaks")
        for field, those in words.items()
        for word in those
        if any(sign in word for sign in "\n\r\0")
    ]


# Those that are the namespace's own, network and IPC: any other would be the host's.
_OWN_SYSCTLS = re.compile(
    r"net\..+|fs\.mqueue\..+|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)"
)


def _own_sysctls(sandbox: Object) -> Problems:
    spec = sandbox.spec
    return [
        invalid(f"spec.sysctls[{name}]", value, "not a sysctl of the sandbox's own namespaces")
        for name, value in spec["sysctls"].items()
        if not _OWN_SYSCTLS.fullmatch(name)
        or "/" in name
        or ".." in name
        or (spec["host_network"] and name.startswith("net."))
    ]


def _validate(sandbox: Object) -> Problems:
    return _no_line_breaks(sandbox) + _own_sysctls(sandbox)


KIND = Kind(
    name="Sandbox",
    plural="sandboxes",
    api=API,
    namespaced=False,
    name_rule="record",
    counts_generations=False,
    validate=_validate,
    claims=claims,
)
